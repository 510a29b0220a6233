"""The model on the meta device: its modules, its ties, and where each parameter comes from."""

from quantcli.skeleton.binding import Binding, bind
from quantcli.skeleton.bound import bounded
from quantcli.skeleton.build import Entry, Skeleton, build
from quantcli.skeleton.classes import remote_class
from quantcli.skeleton.modules import WeightModule, weight_modules
from quantcli.skeleton.siblings import build_siblings, prefix_in
from quantcli.skeleton.ties import Ties, resolve_ties

__all__ = [
    "Binding",
    "Entry",
    "Skeleton",
    "Ties",
    "WeightModule",
    "bind",
    "bounded",
    "build",
    "build_siblings",
    "prefix_in",
    "remote_class",
    "resolve_ties",
    "weight_modules",
]
