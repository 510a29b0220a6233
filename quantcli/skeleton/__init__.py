"""The model on the meta device: its modules, its ties, and where each parameter comes from."""

from quantcli.skeleton.binding import Binding, bind
from quantcli.skeleton.bound import bounded
from quantcli.skeleton.build import Entry, Skeleton, build
from quantcli.skeleton.classes import Code, absolute, find_class
from quantcli.skeleton.modules import WeightModule, weight_modules
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
    "bind",
    "bounded",
    "build",
    "build_siblings",
    "find_class",
    "prefix_in",
    "resolve_ties",
    "weight_modules",
]
