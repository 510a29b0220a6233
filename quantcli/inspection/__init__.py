"""What is in a model, tensor by tensor, and how far it is from another one."""

from quantcli.inspection.error import TensorError, pooled
from quantcli.inspection.folding import fold, fold_layers, unfold
from quantcli.inspection.histogram import Distribution, Histogram
from quantcli.inspection.records import Inspection, ModuleInspection, TensorInspection
from quantcli.inspection.sorting import ERROR_SORTS, SORTS, in_order

__all__ = [
    "ERROR_SORTS",
    "SORTS",
    "Distribution",
    "Histogram",
    "Inspection",
    "ModuleInspection",
    "TensorError",
    "TensorInspection",
    "fold",
    "fold_layers",
    "in_order",
    "pooled",
    "unfold",
]
