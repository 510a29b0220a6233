"""transformers' extension point: the config and the quantizer of a frozen directory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from transformers.core_model_loading import ConversionOps
from transformers.quantizers.base import HfQuantizer
from transformers.quantizers.quantizers_utils import get_module_from_name
from transformers.utils.quantization_config import QuantizationConfigMixin

from quantcli.errors import ModelError
from quantcli.frozen.section import check_section
from quantcli.kinds.layout import PARTS
from quantcli.loading.tensors import FLOATS
from quantcli.mark import MARK, METHOD, SECTION_VERSION

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


class FrozenConfig(QuantizationConfigMixin):
    """What `config.json` says of a frozen directory under `quantization_config`.

    `architecture` is the class that was frozen, where that is not `config.architectures[0]`. The
    names in `modules`, `untied` and `computed` are that class's. `extra` names modules and tensors
    that only other classes take.
    """

    def __init__(self, **section: Any) -> None:
        self.architecture: str | None = None
        self.modules: dict[str, dict[str, Any]] = {}
        self.untied: list[str] = []
        self.computed: list[str] = []
        self.extra: dict[str, Any] = {}
        self.__dict__.update(section)
        self.version = SECTION_VERSION
        self.quant_method = cast("Any", METHOD)

    @classmethod
    def from_dict(
        cls, config_dict: dict[str, Any], return_unused_kwargs: bool = False, **kwargs: Any
    ) -> Any:
        """Make it of a section, which is checked first. Raises `ModelError`."""
        config = cls(**check_section(config_dict))
        return (config, kwargs) if return_unused_kwargs else config

    def to_dict(self) -> dict[str, Any]:
        """Return the section as it is written."""
        return {**super().to_dict(), **MARK}

    def get(self, name: str, default: Any = None) -> Any:
        """Look an entry up as in the dict of `config.json`, which transformers takes it for."""
        return getattr(self, name, default)


class Deserialize(ConversionOps):
    """Makes the weight of one quantized module from its stored parts."""

    def __init__(self, hf_quantizer: FrozenQuantizer) -> None:
        # kept out: transformers copies the operation, deeply, for every weight
        del hf_quantizer

    def convert(  # type: ignore[override]
        self, input_dict: dict[str, list[torch.Tensor]], **kwargs: Any
    ) -> dict[str, Any]:
        """Return the parameter `weight` of the module that `full_layer_name` names."""
        from quantcli.kinds.weights import assemble

        module, _ = get_module_from_name(kwargs["model"], kwargs["full_layer_name"])
        parts = {name.removeprefix("weight."): found[0] for name, found in input_dict.items()}
        return {"weight": assemble(module, parts)}


class FrozenQuantizer(HfQuantizer):
    """Loads a frozen directory: no conversion of names, no tensor missing, none left over.

    `directory` is where the weights are, `frozen` the class that they were frozen from.
    """

    serialized_names = {  # noqa: RUF012 - transformers' own declaration
        "weight": [f"weight.{part}" for part in PARTS]
    }
    quantization_config: FrozenConfig

    def __init__(self, quantization_config: FrozenConfig, **kwargs: Any) -> None:
        super().__init__(quantization_config, **kwargs)
        self._renamings: list[Any] = []
        self.directory = Path()
        self.frozen = ""

    def validate_environment(self, *_args: Any, **kwargs: Any) -> None:
        """Refuse what would quantize on the fly or move quantized weights to the disk."""
        if not self.pre_quantized:
            raise ModelError(
                "this model is not frozen, and quantcli does not quantize at load time",
                hint="make a frozen directory: quantcli quantize MODEL -o DIR",
            )
        device_map = kwargs.get("device_map")
        if isinstance(device_map, dict) and "disk" in device_map.values():
            raise ModelError(
                "quantized weights cannot be offloaded to disk", hint="use another device_map"
            )

    def update_dtype(self, dtype: torch.dtype) -> torch.dtype:
        """Refuse a dtype that cannot hold a scale."""
        if not dtype.is_floating_point:
            raise ModelError(f"dtype must be a floating-point dtype, not {dtype}")
        return dtype

    def param_element_size(self, model: PreTrainedModel, param_name: str, param: Any) -> float:
        """Count a quantized weight as what it takes, when devices are chosen."""
        from quantcli.kinds.weights import stored_bytes

        module, name = get_module_from_name(model, param_name)
        stored = stored_bytes(module) if name == "weight" else None
        if stored is None:
            return float(super().param_element_size(model, param_name, param))
        return stored / max(int(param.numel()), 1)

    def get_new_dtype(
        self, converter: Any, param: Any, dtype: torch.dtype | None
    ) -> torch.dtype | None:
        """Cast scales as the other floats, and leave quantized data (integers, float8) alone."""
        del converter
        return dtype if param.get_dtype() in FLOATS else None

    def get_load_operations(self) -> dict[str, Any]:
        """Name the operation that turns stored parts into a weight."""
        return {"deserialize": Deserialize}

    def update_weight_conversions(
        self, weight_conversions: list[Any], model: PreTrainedModel
    ) -> list[Any]:
        """Replace the model's conversions, which a frozen directory has behind it."""
        del weight_conversions, model
        return [*self._renamings, *self._converters()]

    def _process_model_before_weight_loading(
        self, model: PreTrainedModel, checkpoint_files: list[str] | None = None, **_kwargs: Any
    ) -> None:
        from quantcli.kinds.unpack import use_torch_unpack
        from quantcli.loading.naming import Naming
        from quantcli.loading.placement import place_modules, tie_as_stored
        from quantcli.loading.tensors import check_tensors, leave_out, read_headers

        if not checkpoint_files:
            raise ModelError("a frozen model can only be loaded from its directory")
        use_torch_unpack()
        config = self.quantization_config
        frozen = config.architecture or (getattr(model.config, "architectures", None) or [None])[0]
        self.directory = Path(checkpoint_files[0]).parent
        self.frozen = frozen or type(model).__name__
        headers = read_headers(checkpoint_files)
        naming = Naming.of(model, frozen, headers)
        extra, config.extra = config.extra, {}
        if naming.same_class:
            leave_out(model, extra.get("tensors", ()), headers)
        else:
            config.modules |= extra.get("modules", {})
        config.modules = place_modules(model, config.modules, naming)
        naming = Naming.of(model, frozen, headers)
        self._renamings = naming.renamings
        config.architecture = type(model).__name__
        config.computed = naming.present(config.computed)
        config.untied = naming.present(config.untied)
        tie_as_stored(model, config.untied, config.modules)
        check_tensors(model, headers, config.computed, naming, self._converters())

    def _converters(self) -> list[Any]:
        converters = self.get_weight_conversions()  # type: ignore[no-untyped-call]
        return list(converters)

    def _process_model_after_weight_loading(
        self, model: PreTrainedModel, **_kwargs: Any
    ) -> PreTrainedModel:
        from quantcli.kinds.weights import align_tensors

        align_tensors(model)
        # no conversion is to be reverted by save_pretrained
        vars(model)["_weight_conversions"] = []
        return model

    def is_serializable(self) -> bool:
        """Save a loaded model as a frozen directory: see `loading.saving`."""
        return True

    @property
    def is_trainable(self) -> bool:
        """Frozen weights are not trained."""
        return False
