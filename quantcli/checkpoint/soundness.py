"""Errors for damaged weights files."""

from __future__ import annotations

from quantcli.errors import ModelError

AGAIN = "download it again"


def truncated(file: str, missing: int, where: str = "") -> ModelError:
    """Return the error for a file that ends `missing` bytes early."""
    place = f" {where}" if where else ""
    return ModelError(f"{file} is truncated: {missing:,} bytes are missing{place}", hint=AGAIN)


def damaged(file: str, error: Exception) -> ModelError:
    """Return the error for a file whose parts do not fit together."""
    reason = str(error).partition("\n")[0]
    return ModelError(f"{file} is truncated or damaged: {reason}", hint=AGAIN)


def not_weights(file: str, start: bytes, wanted: str) -> ModelError:
    """Return the error for a file that does not begin as `wanted` ("a safetensors file") does."""
    if start.startswith(b"version https://git-lfs"):
        return ModelError(f"{file} is a Git LFS pointer, not the file", hint="run `git lfs pull`")
    return ModelError(f"{file} is not {wanted}", hint=AGAIN)
