"""Private names of transformers: the base classes of a quantization method, and their hooks.

A class statement needs its bases, so this module imports transformers. It is imported with the
first frozen directory that is loaded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from quantcli.upstream.names import relies_on

_CONFIG = "transformers.utils.quantization_config.QuantizationConfigMixin"
_OPERATION = "transformers.core_model_loading.ConversionOps"
_QUANTIZER = "transformers.quantizers.base.HfQuantizer"
_TO = "load frozen directories"

with relies_on(_CONFIG, _OPERATION, _QUANTIZER, to=_TO):
    from transformers.core_model_loading import ConversionOps
    from transformers.quantizers.base import HfQuantizer
    from transformers.utils.quantization_config import QuantizationConfigMixin

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@relies_on(f"{_CONFIG}.from_dict", f"{_CONFIG}.to_dict", to=_TO)
class SectionBase(QuantizationConfigMixin):
    """A `quantization_config`. Override `from_dict`, `to_dict`."""


@relies_on(f"{_OPERATION}.convert", to=_TO)
class OperationBase(ConversionOps):
    """What makes a parameter from stored tensors. Override `convert`."""


@relies_on(
    f"{_QUANTIZER}._process_model_after_weight_loading",
    f"{_QUANTIZER}._process_model_before_weight_loading",
    f"{_QUANTIZER}.get_load_operations",
    f"{_QUANTIZER}.get_new_dtype",
    f"{_QUANTIZER}.get_weight_conversions",
    f"{_QUANTIZER}.is_serializable",
    f"{_QUANTIZER}.is_trainable",
    f"{_QUANTIZER}.param_element_size",
    f"{_QUANTIZER}.pre_quantized",
    f"{_QUANTIZER}.quantization_config",
    f"{_QUANTIZER}.serialized_names",
    f"{_QUANTIZER}.update_dtype",
    f"{_QUANTIZER}.update_weight_conversions",
    f"{_QUANTIZER}.validate_environment",
    to=_TO,
)
class QuantizerBase(HfQuantizer):
    """What transformers asks while it loads a quantized model.

    Override `prepare` and `finish`, and the hooks that transformers names without an underscore.
    """

    def prepare(self, model: PreTrainedModel, files: list[str]) -> None:
        """Make a model, on the meta device, take the weights in these files."""

    def finish(self, model: PreTrainedModel) -> None:
        """Finish a model whose weights are loaded."""

    def converters(self) -> list[Any]:
        """Return the converters that run the load operations on stored tensors."""
        found = self.get_weight_conversions()  # type: ignore[no-untyped-call]
        return list(found)

    def _process_model_before_weight_loading(
        self, model: PreTrainedModel, checkpoint_files: list[str] | None = None, **_kwargs: Any
    ) -> None:
        self.prepare(model, checkpoint_files or [])

    def _process_model_after_weight_loading(
        self, model: PreTrainedModel, **_kwargs: Any
    ) -> PreTrainedModel:
        self.finish(model)
        return model
