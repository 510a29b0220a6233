"""The errors for weights files that are truncated, damaged or something else."""

from __future__ import annotations

from quantcli.errors import ModelError
from quantcli.text import first_line

AGAIN = "download it again"


def truncated(file: str, missing: int, where: str = "") -> ModelError:
    """Return the error for a file that lacks `missing` bytes at its end."""
    place = f" {where}" if where else ""
    return ModelError(f"{file} is truncated: {missing:,} bytes are missing{place}", hint=AGAIN)


def damaged(file: str, error: Exception) -> ModelError:
    """Return the error for a file that cannot be read because of `error`."""
    return ModelError(f"{file} is truncated or damaged: {first_line(error)}", hint=AGAIN)


def not_weights(file: str, start: bytes, wanted: str) -> ModelError:
    """Return the error for a file that is not `wanted` ("a safetensors file"), by its `start`."""
    if start.startswith(b"version https://git-lfs"):
        return ModelError(f"{file} is a Git LFS pointer, not the file", hint="run `git lfs pull`")
    return ModelError(f"{file} is not {wanted}", hint=AGAIN)
