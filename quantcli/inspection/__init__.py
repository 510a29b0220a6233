"""What is in a model, tensor by tensor, and how far it is from another one."""

from quantcli.inspection.error import TensorError, pooled
from quantcli.inspection.folding import fold, fold_layers
from quantcli.inspection.records import Inspection, ModuleInspection, TensorInspection

__all__ = [
    "Inspection",
    "ModuleInspection",
    "TensorError",
    "TensorInspection",
    "fold",
    "fold_layers",
    "pooled",
]
