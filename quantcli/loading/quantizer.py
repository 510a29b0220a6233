"""How transformers loads a frozen directory: its section of the config, and its quantizer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from quantcli.errors import ModelError
from quantcli.frozen.section import OPTIONAL, check_section
from quantcli.loading.tensors import FLOATS
from quantcli.mark import MARK, METHOD, SECTION_VERSION
from quantcli.upstream.transformers import forget_conversions
from quantcli.upstream.transformers_quantizer import OperationBase, QuantizerBase, SectionBase

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


class FrozenConfig(SectionBase):
    """The `quantization_config` of a frozen directory.

    `architecture` is the class that was frozen, if that is not `config.architectures[0]`. The names
    in `modules`, `parameters`, `shared`, `untied`, `computed` and `activations` are those of that
    class. `extra` names modules and tensors that only other classes take.
    """

    def __init__(self, **section: Any) -> None:
        self.architecture: str | None = None
        self.modules: dict[str, dict[str, Any]] = {}
        self.parameters: dict[str, dict[str, Any]] = {}
        self.shared: dict[str, str] = {}
        self.untied: list[str] = []
        self.computed: list[str] = []
        self.activations: dict[str, Any] = {}
        self.extra: dict[str, Any] = {}
        self.kernels = ""
        self.runtime_activations = ""
        self.version = SECTION_VERSION
        self.__dict__.update(section)
        self.quant_method = cast("Any", METHOD)

    @classmethod
    def from_dict(
        cls, config_dict: dict[str, Any], return_unused_kwargs: bool = False, **kwargs: Any
    ) -> Any:
        """Check a section and return it as a `FrozenConfig`. Raises `ModelError`."""
        config = cls(**check_section(config_dict))
        return (config, kwargs) if return_unused_kwargs else config

    def to_dict(self) -> dict[str, Any]:
        """Return the section as it is written."""
        found = {**super().to_dict(), **MARK}
        return {key: value for key, value in found.items() if value or key not in OPTIONAL}

    def get(self, name: str, default: Any = None) -> Any:
        """Return an entry, as the dict of `config.json` does, which transformers expects."""
        return getattr(self, name, default)


class Deserialize(OperationBase):
    """Makes the weight of one quantized module from its stored parts."""

    def __init__(self, hf_quantizer: FrozenQuantizer) -> None:
        # not kept: transformers makes a deep copy of the operation for every weight
        del hf_quantizer

    def convert(  # type: ignore[override]
        self, input_dict: dict[str, list[torch.Tensor]], **kwargs: Any
    ) -> dict[str, Any]:
        """Return the parameter that `full_layer_name` names, by the last part of that name."""
        full_name = kwargs["full_layer_name"]
        name = full_name.rpartition(".")[2]
        parts = {part.removeprefix(f"{name}."): found[0] for part, found in input_dict.items()}
        return {name: _owner(kwargs["model"], full_name).assemble(name, parts)}


class FrozenQuantizer(QuantizerBase):
    """Loads a frozen directory: no conversion of names, no tensor missing, none left over.

    `directory` is where the weights are, `frozen` the class that they were frozen from.
    """

    quantization_config: FrozenConfig

    def __init__(self, quantization_config: FrozenConfig, **kwargs: Any) -> None:
        super().__init__(quantization_config, **kwargs)
        self._renamings: list[Any] = []
        self.serialized_names: dict[str, list[str]] = {}
        self.directory = Path()
        self.frozen = ""

    def validate_environment(self, *_args: Any, **kwargs: Any) -> None:
        """Raise `ModelError` if transformers would quantize, or offload weights to disk."""
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

    def update_dtype(self, dtype: Any) -> torch.dtype:
        """Raise `ModelError` for a dtype that cannot hold a scale, or is none."""
        import torch

        if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
            raise ModelError(f"dtype must be a floating-point dtype, not {dtype}")
        return dtype

    def param_element_size(self, model: PreTrainedModel, param_name: str, param: Any) -> float:
        """Return the bytes of an element as it is stored, for the choice of devices."""
        from quantcli.kinds.frozen import FrozenModule

        module, name = _owner(model, param_name), param_name.rpartition(".")[2]
        weights = module.frozen_weights() if isinstance(module, FrozenModule) else {}
        if name not in weights:
            return float(super().param_element_size(model, param_name, param))
        return weights[name].nbytes(param.element_size()) / max(int(param.numel()), 1)

    def get_new_dtype(
        self, converter: Any, param: Any, dtype: torch.dtype | None
    ) -> torch.dtype | None:
        """Cast scales as other floats, and no quantized data (integers, float8)."""
        del converter
        return dtype if param.get_dtype() in FLOATS else None

    def get_load_operations(self) -> dict[str, Any]:
        """Return the operation that makes a weight of its stored parts."""
        return {"deserialize": Deserialize}

    def update_weight_conversions(
        self, weight_conversions: list[Any], model: PreTrainedModel
    ) -> list[Any]:
        """Replace the model's conversions: `quantize` ran them."""
        del weight_conversions, model
        return [*self._renamings, *self.converters()]

    def prepare(self, model: PreTrainedModel, files: list[str]) -> None:
        """Place the quantized modules, tie what was tied, and compare the names with the files."""
        from quantcli.kinds.unpack import use_torch_unpack
        from quantcli.loading.naming import Naming
        from quantcli.loading.placement import Placement, serialized_names, tie_as_stored
        from quantcli.loading.runtime import set_runtime
        from quantcli.loading.tensors import check_tensors, leave_out, read_headers

        if not files:
            raise ModelError("a frozen model can only be loaded from its directory")
        use_torch_unpack()
        config = self.quantization_config
        frozen = config.architecture or (getattr(model.config, "architectures", None) or [None])[0]
        self.directory = Path(files[0]).parent
        self.frozen = frozen or type(model).__name__
        headers = read_headers(files)
        naming = Naming.of(model, frozen, headers)
        extra, config.extra = config.extra, {}
        if naming.same_class:
            leave_out(model, extra.get("tensors", ()), headers)
        else:
            for key in ("modules", "parameters", "shared"):
                getattr(config, key).update(extra.get(key, {}))
        placement = Placement(model, naming, config.activations)
        config.activations = placement.layer_norms()
        config.modules = placement.modules(config.modules)
        config.parameters = placement.parameters(config.parameters)
        config.shared = placement.shared(config.shared, config.parameters)
        set_runtime(model, vars(config))
        self.serialized_names = serialized_names(model)
        naming = Naming.of(model, frozen, headers)
        self._renamings = naming.renamings
        config.architecture = type(model).__name__
        config.computed = naming.present(config.computed)
        config.untied = naming.present(config.untied)
        tie_as_stored(model, [*config.untied, *placement.stored], config.shared)
        check_tensors(model, headers, config.computed, naming, self.converters())

    def finish(self, model: PreTrainedModel) -> None:
        """Align the tensors, and let `save_pretrained` keep their names."""
        from quantcli.kinds.weights import align_tensors

        align_tensors(model)
        forget_conversions(model)

    def is_serializable(self) -> bool:
        """Return True: a loaded model is saved as a frozen directory, by `loading.saving`."""
        return True

    @property
    def is_trainable(self) -> bool:
        """Return False: frozen weights are not trained."""
        return False


def _owner(model: PreTrainedModel, name: str) -> Any:
    """Return the module that has a parameter."""
    return model.get_submodule(name.rpartition(".")[0])
