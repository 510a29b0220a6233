"""The model on the meta device: its modules, its ties, and where each parameter comes from."""

from quantcli.skeleton.binding import Binding, bind
from quantcli.skeleton.bound import bounded
from quantcli.skeleton.build import Entry, Skeleton, build, build_as
from quantcli.skeleton.classes import Code, absolute, base_class, config_for, find_class
from quantcli.skeleton.modules import WeightModule, held_elsewhere, weight_modules
from quantcli.skeleton.siblings import build_siblings, prefix_in
from quantcli.skeleton.ties import Ties, resolve_ties

__all__ = [
    "Binding",
    "Code",
    "Entry",
    "Skeleton",
    "Ties",
    "WeightModule",
    "absolute",
    "base_class",
    "bind",
    "bounded",
    "build",
    "build_as",
    "build_siblings",
    "config_for",
    "find_class",
    "held_elsewhere",
    "prefix_in",
    "resolve_ties",
    "weight_modules",
]
