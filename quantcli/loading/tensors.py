"""Check the stored tensors against the model before any is loaded."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from quantcli.dtypes import CODES, dtype_name
from quantcli.errors import ModelError
from quantcli.loading.naming import PART
from quantcli.text import plural, some
from quantcli.upstream.transformers import ignore_unexpected, ignored_weights, tied_weights

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from quantcli.loading.naming import Naming

Header = tuple[str, tuple[int, ...]]
"""The safetensors dtype code and the shape of a stored tensor."""


FLOATS = ("F64", "F32", "F16", "BF16")
"""The dtype codes of floating-point tensors."""


def read_headers(files: Iterable[str]) -> dict[str, Header]:
    """Read the name, dtype and shape of every tensor in safetensors files."""
    from safetensors import SafetensorError, safe_open

    headers: dict[str, Header] = {}
    for file in files:
        try:
            with safe_open(file, framework="pt") as handle:
                for name in handle.keys():  # noqa: SIM118 - not a dict
                    tensor = handle.get_slice(name)
                    headers[name] = (str(tensor.get_dtype()), tuple(tensor.get_shape()))
        except (SafetensorError, OSError) as error:
            raise ModelError(
                f"{file} is damaged: {error}", hint="quantize the original again"
            ) from error
    return headers


def leave_out(model: PreTrainedModel, names: Iterable[str], headers: dict[str, Header]) -> None:
    """Remove tensors of other classes from the headers, and from transformers' report."""
    left = [name for name in names if headers.pop(name, None)]
    ignore_unexpected(model, {f"^{re.escape(PART.sub('', name))}$" for name in left})


def check_tensors(
    model: PreTrainedModel,
    headers: Mapping[str, Header],
    computed: Iterable[str],
    naming: Naming,
    converters: list[Any],
) -> None:
    """Check that the stored tensors are exactly those that the model loads.

    Raises `ModelError` that names the first tensor that is missing, left over or of another shape.
    A class other than the frozen one may leave tensors over (a head), but not lack any.
    """
    expected = expected_tensors(model)
    found: set[str] = set()
    extra: list[str] = []
    for stored, header in headers.items():
        target, pattern = naming.match(stored, converters)
        name = target
        if target is not None and pattern is not None:
            name = target.removesuffix(target.rpartition(".")[2]) + pattern
        if name is None or name not in expected or name in found:
            extra.append(stored)
            continue
        found.add(name)
        check_header(stored, header, expected[name])
    missing = expected.keys() - found - set(computed) - tied_weights(model).keys()
    if not naming.same_class:
        missing = {name for name in missing if not _ignored(model, "missing", name)}
    if missing:
        raise _missing(model, list(missing), naming)
    extra = [name for name in extra if not _ignored(model, "unexpected", name)]
    if extra and naming.same_class:
        raise ModelError(
            f"cannot load as {type(model).__name__}: {count_names(extra, 'left over')}"
        )


def expected_tensors(model: torch.nn.Module) -> dict[str, Header]:
    """Return every tensor that the model loads; an empty dtype code means any float."""
    from quantcli.kinds.frozen import FrozenModule
    from quantcli.kinds.layout import DATA

    expected: dict[str, Header] = {}
    for name, tensor in model.state_dict().items():
        if hasattr(tensor, "shape"):  # extra state is not a tensor
            code = "" if tensor.is_floating_point() else CODES[dtype_name(tensor.dtype)]
            expected[name] = (code, tuple(tensor.shape))
    for name, module in model.named_modules():
        frozen = module.stored_weights() if isinstance(module, FrozenModule) else {}
        for weight, stored in frozen.items():
            own = f"{name}.{weight}" if name else weight
            del expected[own]
            storage = CODES[stored.weight_format.storage]
            for part, shape in stored.parts().items():
                expected[f"{own}.{part}"] = (storage if part.endswith(DATA) else "", shape)
    return expected


def check_header(name: str, header: Header, expected: Header) -> None:
    """Raise `ModelError` if a stored tensor does not have the expected dtype and shape."""
    code, shape = header
    if shape != expected[1]:
        raise ModelError(f"{name} is stored with shape {list(shape)}, not {list(expected[1])}")
    if code not in ({expected[0]} if expected[0] else FLOATS):
        raise ModelError(f"{name} is stored as {code}, not as {expected[0] or 'a float'}")


def _missing(model: PreTrainedModel, missing: list[str], naming: Naming) -> ModelError:
    kind = type(model).__name__
    hint = None
    if not naming.same_class:
        frozen = naming.frozen or "another class"
        hint = f"the directory holds a {frozen}; what {kind} adds would be random"
    return ModelError(f"cannot load as {kind}: {count_names(missing, 'missing')}", hint=hint)


def _ignored(model: PreTrainedModel, kind: Literal["missing", "unexpected"], name: str) -> bool:
    return any(re.search(pattern, name) for pattern in ignored_weights(model, kind))


def count_names(names: list[str], what: str) -> str:
    """Return how many tensors there are, with the first name: "2 tensors missing (a, …)"."""
    return f"{plural(len(names), 'tensor')} {what} ({some(sorted(names), 1)})"
