"""A checkpoint without weights: what `save_pretrained` would write, as names and shapes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from quantcli.checkpoint import TensorRecord

if TYPE_CHECKING:
    import torch

FILE = "model.safetensors"


class SavedCheckpoint:
    """What is known of a checkpoint before a weight is read. Its folder holds the config alone."""

    revision = "0" * 40
    index_metadata = None
    has_code = False

    def __init__(self, config: Any, tensors: dict[str, TensorRecord], folder: Path) -> None:
        self.model = config.model_type
        self.config = config.to_dict()
        self.tensors = tensors
        self._folder = folder

    def folder(self) -> Path:
        return self._folder


def build(model_class: Any, config: Any) -> Any:
    """Build a model on the meta device, in float32."""
    import torch

    from quantcli.upstream.transformers import init_context

    with init_context(model_class, torch.float32):
        return model_class(config)


def save(model: Any, folder: Path) -> SavedCheckpoint:
    """Return the checkpoint that saving a model would make; writes its config.json."""
    import torch

    config = model.config
    config.architectures, config.dtype = [type(model).__name__], torch.float32
    config.save_pretrained(folder)
    return SavedCheckpoint(config, _records(_saved_state(model)), folder)


def _saved_state(model: Any) -> dict[str, torch.Tensor]:
    """Return the state dict as it is saved: tied tensors once, conversions of loading reverted."""
    from transformers.core_model_loading import revert_weight_conversion

    tied = model.all_tied_weights_keys
    state = {
        name: value
        for name, value in model.state_dict().items()
        if name not in tied and hasattr(value, "shape")
    }
    saved: dict[str, torch.Tensor] = revert_weight_conversion(model, state)
    return saved


def _records(state: dict[str, torch.Tensor]) -> dict[str, TensorRecord]:
    records, offset = {}, 0
    for name, value in state.items():
        records[name] = TensorRecord(
            name=name,
            file=FILE,
            dtype=str(value.dtype).removeprefix("torch."),
            shape=tuple(value.shape),
            offset=offset,
            nbytes=value.nbytes,
        )
        offset += value.nbytes
    return records
