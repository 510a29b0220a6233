"""Load a frozen directory as the class that it was frozen from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quantcli.errors import ModelError, UsageError, VerificationError, did_you_mean
from quantcli.files import read_json, reason
from quantcli.loading.runtime import asking
from quantcli.mark import SECTION, is_ours
from quantcli.paths import expand

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

PASSED_ON = ("attn_implementation", "experts_implementation", "max_memory")
"""Options of `from_pretrained` that are passed on as they are."""

OPTIONS = (
    "activations",
    "device_map",
    "dtype",
    "kernels",
    "trust_remote_code",
    "verify",
    *PASSED_ON,
)


def load(
    directory: str | Path,
    *,
    device_map: str | dict[str, Any] | None = None,
    dtype: str | torch.dtype | None = None,
    kernels: str | None = None,
    activations: str | None = None,
    trust_remote_code: bool = False,
    verify: bool = False,
    **options: Any,
) -> PreTrainedModel:
    """Load a frozen directory as a transformers model in eval mode.

    `device_map`, `dtype`, `trust_remote_code` and, in `options`, `attn_implementation`,
    `experts_implementation` and `max_memory` are those of `from_pretrained`; the default dtype is
    the frozen one. `verify` first compares every file with its checksum.

    `kernels` is "auto", the fastest way to compute each product, or "quanto", Quanto's own, bit for
    bit. With `activations="int8"` the inputs of int8 linear layers are quantized too, each row by
    its maximum, which is faster on a CPU with AVX-512 VNNI and changes the numbers. The default is
    what the environment says (QUANTCLI_KERNELS, QUANTCLI_RUNTIME_ACTIVATIONS), or the directory.

    On a CPU the tensors stay memory-mapped, so the directory must outlive the model. A deep copy of
    the model has its own memory.

    Raises `ModelError` if the directory is not a frozen one, is damaged, lacks a tensor or has one
    too many; `VerificationError` if a checksum differs; `UsageError` for another option, or for an
    unknown `~user`.
    """
    passed = _passed_on(options)
    folder = Path(expand(directory))
    config = read_frozen_config(folder)
    if verify:
        verify_files(folder)
    with asking(kernels=kernels, activations=activations):
        model: PreTrainedModel = _load(
            folder,
            config,
            device_map=device_map,
            dtype="auto" if dtype is None else dtype,
            trust_remote_code=trust_remote_code,
            **passed,
        )
    return model


def _passed_on(options: Mapping[str, Any]) -> dict[str, Any]:
    for name in options:
        if name not in PASSED_ON:
            raise UsageError(f"load has no option {name}", hint=did_you_mean(name, OPTIONS))
    return {name: value for name, value in options.items() if value is not None}


def _load(folder: Path, config: Mapping[str, Any], **options: Any) -> Any:
    from quantcli.loading.classes import frozen_class
    from quantcli.loading.faults import load_error, naming_folder
    from quantcli.loading.inventory import check_dtypes
    from quantcli.loading.registration import register
    from quantcli.loading.tensors import read_headers
    from quantcli.skeleton import absolute, bounded
    from quantcli.upstream.foreign import foreign_code

    register()
    headers = read_headers(map(str, folder.glob("*.safetensors")))
    with naming_folder(folder), bounded(config, tensors=len(headers), model=str(folder)):
        check_dtypes(folder, headers)
        trusted = options["trust_remote_code"]
        model_class = frozen_class(folder, config, trust_remote_code=trusted)
        with foreign_code(load_error(folder)):
            return model_class.from_pretrained(absolute(folder), local_files_only=True, **options)


def read_frozen_config(folder: Path) -> dict[str, Any]:
    """Return the config of a frozen directory, its section checked. Raises `ModelError`."""
    from quantcli.frozen.manifest import is_frozen
    from quantcli.frozen.section import HINT, check_section

    path = folder / "config.json"
    try:
        config = read_json(path)
    except OSError as error:
        if isinstance(error, FileNotFoundError | NotADirectoryError) and not is_frozen(folder):
            raise _not_frozen(folder) from error
        raise ModelError(f"cannot read {path}: {reason(error)}", hint=HINT) from error
    except ValueError as error:
        raise ModelError(f"{path} {error}", hint=HINT) from error
    if isinstance(config, dict) and is_ours(config.get(SECTION)):
        check_section(config[SECTION], where=str(path))
        return config
    if is_frozen(folder):
        raise ModelError(f"{path} is damaged: it has no {SECTION} written by quantcli", hint=HINT)
    raise _not_frozen(folder)


def _not_frozen(folder: Path) -> ModelError:
    return ModelError(
        f"{folder} is not a frozen directory", hint="make one: quantcli quantize MODEL -o DIR"
    )


def verify_files(folder: Path) -> None:
    """Raise `VerificationError` if a file of a frozen directory differs from its checksum."""
    from quantcli.frozen.verify import check

    found = check(folder)
    if found.problems:
        raise VerificationError(f"{folder}: {found.listed}", hint=found.hint)
