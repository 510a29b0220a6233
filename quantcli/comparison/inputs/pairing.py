"""One kit for two models: both must prepare a sample in the same way."""

from __future__ import annotations

from pathlib import Path

from quantcli.checkpoint.jsonfile import read_object
from quantcli.checkpoint.records import TOKENIZER_FILES
from quantcli.comparison.inputs.kit import PROCESSOR_FILES, Kit
from quantcli.errors import ModelError


def pair_kits(original: Kit, quantized: Kit) -> Kit:
    """Return the kit that prepares the samples of both models.

    Raises `ModelError` if the two models would get different inputs.
    """
    if not _has_any(original.folder, TOKENIZER_FILES + PROCESSOR_FILES):
        return quantized
    names = f"{original.model} and {quantized.model}"
    if not _same_files(original.folder, quantized.folder, TOKENIZER_FILES):
        _check_tokenizers(original, quantized, names)
    if not _same_files(original.folder, quantized.folder, PROCESSOR_FILES):
        _check_processors(original, quantized, names)
    return original


def _check_tokenizers(first: Kit, second: Kit, names: str) -> None:
    one, other = first.tokenizer, second.tokenizer
    if one is None or other is None:
        return
    if one.get_vocab() != other.get_vocab():
        raise ModelError(f"the tokenizers of {names} differ: not the same vocabulary")
    first.twin = second


def _check_processors(first: Kit, second: Kit, names: str) -> None:
    for name in PROCESSOR_FILES:
        one, other = (read_object(kit.folder / name) for kit in (first, second))
        if one and other and one != other:
            raise ModelError(f"the processors of {names} differ in {name}")


def _same_files(first: Path, second: Path, names: tuple[str, ...]) -> bool:
    """Return whether two folders have the same files of these names, or the second has none."""
    if not _has_any(second, names):
        return True
    return all(_content(first / name) == _content(second / name) for name in names)


def _has_any(folder: Path, names: tuple[str, ...]) -> bool:
    return any((folder / name).is_file() for name in names)


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None
