"""The plan: what happens to every tensor of a model, decided before any weight is read."""

from quantcli.planning.choose import Component
from quantcli.planning.coverage import check_quantized
from quantcli.planning.make import make_plan
from quantcli.planning.original import OriginalSize, measure_original
from quantcli.planning.plan import Plan, TensorPlan
from quantcli.planning.source import Source, read_source

__all__ = [
    "Component",
    "OriginalSize",
    "Plan",
    "Source",
    "TensorPlan",
    "check_quantized",
    "make_plan",
    "measure_original",
    "read_source",
]
