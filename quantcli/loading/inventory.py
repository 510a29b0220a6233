"""The manifest of a frozen model that was loaded and saved again."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quantcli.dtypes import SAFETENSORS, SIZES, dtype_name, is_float
from quantcli.errors import ModelError
from quantcli.frozen.manifest import read_manifest
from quantcli.frozen.write import versions
from quantcli.loading.naming import PART, Naming
from quantcli.loading.tensors import FLOATS, Header, read_headers
from quantcli.mark import MANIFEST

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Entry = dict[str, Any]


def resaved_manifest(
    model: PreTrainedModel, manifest: Mapping[str, Any], shards: Iterable[Path], *, frozen: str
) -> dict[str, Any]:
    """Return the manifest of what was saved, without its files.

    `manifest` is that of the directory that the model was loaded from; `frozen` names its class. If
    the model is a part of that one, its footprint is compared with the same part of the original.
    """
    headers = read_headers(map(str, shards))
    entries = _entries(Naming.of(model, frozen), manifest["tensors"], headers)
    stored = Counter[str]()
    for code, shape in headers.values():
        stored[SAFETENSORS[code]] += _nbytes((code, shape))
    known: Mapping[str, Any] = manifest["footprint"]
    if type(model).__name__ != frozen or len(entries) < len(manifest["tensors"]):
        parameters = {name for name, _ in model.named_parameters(remove_duplicate=False)}
        known = _part(entries, parameters, known)
    total, original = sum(stored.values()), known["original"]["bytes"]
    return {
        **manifest,
        "architecture": type(model).__name__,
        "dtype": dtype_name(model.dtype),
        "versions": versions(),
        "footprint": {
            **known,
            "quantized": {"bytes": total, "dtypes": dict(stored.most_common())},
            "ratio": total / original if original else 1.0,
        },
        "tensors": entries,
    }


def check_inventory(manifest: Mapping[str, Any], path: Path) -> None:
    """Raise `ModelError` if what a manifest says about tensors is damaged."""
    texts = [manifest.get("architecture"), manifest.get("dtype")]
    shapes = []
    try:
        for entry in manifest["tensors"]:
            texts += [entry["name"], entry["action"], SIZES[entry["dtype"]] and entry["dtype"]]
            shapes += entry["shape"]
    except (AttributeError, KeyError, TypeError) as error:
        raise ModelError(f"{path} is damaged", hint="quantize the original again") from error
    if not all(isinstance(text, str) for text in texts) or any(type(n) is not int for n in shapes):
        raise ModelError(f"{path} is damaged", hint="quantize the original again")


def check_dtypes(folder: Path, headers: Mapping[str, Header]) -> None:
    """Raise `ModelError` if a stored float does not have the dtype that the manifest says.

    A header that says F16 where BF16 was written still has the right size.
    """
    if not (folder / MANIFEST).is_file():
        return
    manifest = read_manifest(folder)
    check_inventory(manifest, folder / MANIFEST)
    entries = {entry["name"]: entry for entry in manifest["tensors"]}
    for stored, (code, _) in headers.items():
        entry = entries.get(_owner(stored, entries))
        if entry is not None and code in FLOATS and SAFETENSORS[code] != entry["dtype"]:
            raise ModelError(f"{stored} is stored as {SAFETENSORS[code]}, not as {entry['dtype']}")


def _entries(
    naming: Naming, old: Iterable[Mapping[str, Any]], headers: Mapping[str, Header]
) -> list[Entry]:
    """Return the entries of the model's tensors, under its names and with their new bytes."""
    entries = {}
    for entry in old:
        scale = "._scale" if entry["action"] == "quantize" else ""
        name = naming.find(entry["name"] + scale)
        if name is not None:
            renamed = name.removesuffix(scale)
            entries[renamed] = dict(entry) | {"name": renamed, "bytes": 0}
            if "alias_of" in entry:
                owner = naming.find(entry["alias_of"]) or naming.find(f"{entry['alias_of']}._scale")
                entries[renamed]["alias_of"] = owner
    for stored, header in headers.items():
        owner = _owner(stored, entries)
        entry = entries.setdefault(owner, _new_entry(owner, header))
        entry["bytes"] += _nbytes(header)
        if stored in (entry["name"], f"{entry['name']}._scale"):
            entry["dtype"] = SAFETENSORS[header[0]]
    return list(entries.values())


def _new_entry(name: str, header: Header) -> Entry:
    """Return the entry of a tensor that was added to the model after it was loaded."""
    entry = {"name": name, "action": "keep", "reason": "added after it was frozen"}
    stored = {"dtype": SAFETENSORS[header[0]], "shape": list(header[1]), "bytes": 0}
    return {**entry, "qtype": None, "group_size": None, **stored}


def _owner(stored: str, entries: Mapping[str, Entry]) -> str:
    """Return the name of the entry that a stored tensor belongs to."""
    name = PART.sub("", stored)
    return name if name in entries else f"{stored.rpartition('.')[0]}.weight"


def _nbytes(header: Header) -> int:
    code, shape = header
    return math.prod(shape) * SIZES[SAFETENSORS[code]]


def _part(entries: list[Entry], parameters: set[str], whole: Mapping[str, Any]) -> dict[str, Any]:
    """Return the footprint of a part of a model, from its entries."""
    floats = [dtype for dtype in whole["original"]["dtypes"] if is_float(dtype)]
    dtypes, counts = Counter[str](), Counter[str]()
    for entry in entries:
        if entry["action"] in ("alias", "compute"):
            continue
        numel, dtype = math.prod(entry["shape"]), entry["dtype"]
        if is_float(dtype) and len(floats) == 1:
            dtype = floats[0]
        dtypes[dtype] += numel * SIZES[dtype]
        matrix = len(entry["shape"]) >= 2 and is_float(dtype)
        counts["parameters"] += numel * (entry["name"] in parameters)
        counts["matrices"] += numel * (matrix and entry["name"] in parameters)
        counts["quantized"] += numel * (entry["action"] == "quantize")
        counts["tensors"] += entry["action"] == "quantize"
    return {
        "parameters": counts["parameters"],
        "original": {"bytes": sum(dtypes.values()), "dtypes": dict(dtypes.most_common())},
        "tensors_quantized": counts["tensors"],
        "coverage": counts["quantized"] / counts["matrices"] if counts["matrices"] else 0.0,
    }
