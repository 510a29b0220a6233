"""The plan: what becomes of every tensor of a model, decided before a weight is read."""

from quantcli.plan.data import Plan, Stored, TensorPlan
from quantcli.plan.make import make_plan
from quantcli.plan.source import Source, read_source

__all__ = ["Plan", "Source", "Stored", "TensorPlan", "make_plan", "read_source"]
