"""What tells one checkpoint from another, without reading all of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from quantcli.checkpoint.model import Checkpoint

SAMPLE = 64
"""Bytes of each tensor that go into a fingerprint."""


def fingerprint(checkpoint: Checkpoint) -> str:
    """Return the fingerprint of a checkpoint, after `fetch`: a sha256, in hex."""
    return digest(traits(checkpoint))


def traits(checkpoint: Checkpoint) -> Iterator[str]:
    """Yield a line for each tensor: its name, dtype, shape and first bytes."""
    for name, record in sorted(checkpoint.tensors.items()):
        start = "" if record.strided else checkpoint.sample(name, 0, min(SAMPLE, record.nbytes))
        yield f"{name} {record.dtype} {record.shape} {start!r}"


def digest(lines: Iterable[str]) -> str:
    """Return the sha256 of lines."""
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
