"""Frozen directory -> transformers model. Nothing heavy is imported until a model is loaded."""

from quantcli.loading.model import load
from quantcli.loading.registration import install, register

__all__ = ["install", "load", "register"]
