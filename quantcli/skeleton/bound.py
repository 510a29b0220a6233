"""Limits on the size of a model, so that a damaged config does not fill the memory.

A `num_hidden_layers` of 2^31 would build modules for days. Tensors on the meta device cost nothing,
but modules and Python lists do.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from quantcli.errors import ModelError
from quantcli.upstream.torch import on_registration

FEW = 2048
"""Parameters, and modules, that any model may have: layers may share tensors, or have none."""

PER_TENSOR = 8
"""Parameters, and modules, for each tensor of the checkpoint.

Loading splits a fused tensor into three (query, key, value) and copies a tied one for each layer of
a head; a block has as many modules without parameters (activations, dropouts) as with them.
"""

LABELS = 2**17
"""Labels of a classifier, which all have names in the config, or experts, which may be rows."""

_HINT = "config.json is damaged, or not that of these weights"

_COUNTS = re.compile(r"(^|_)(layers?|depths?|blocks|stages|levels|hidden_groups|loops)$")
_LABELS = re.compile(r"(^|[_.])(num|n)(_\w+)?_(labels|classes|experts)$")


@contextmanager
def bounded(config: Mapping[str, Any], *, tensors: int, model: str) -> Iterator[None]:
    """Raise `ModelError` if a model that is built inside is larger than its checkpoint can fill.

    `config` is the content of config.json, `tensors` the number of tensors in the checkpoint. Build
    the config inside too: some configs list every layer.
    """
    for key, value in _counts(config):
        limit = LABELS if _LABELS.search(key) else max(FEW, tensors)
        if value > limit:
            raise _too_much(f"{key} is {value:,}", tensors, model)
    with _counted(FEW + PER_TENSOR * tensors, tensors, model):
        yield


def _counts(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """Yield the entries of a config and its parts that count what is built."""
    for key, value in ((str(key), value) for key, value in config.items()):
        if isinstance(value, dict):
            yield from _counts(value, f"{prefix}{key}.")
        elif _COUNTS.search(key) or _LABELS.search(key):
            values = value if isinstance(value, list) else [value]
            yield from ((f"{prefix}{key}", v) for v in values if isinstance(v, int | float))


@contextmanager
def _counted(limit: int, tensors: int, model: str) -> Iterator[None]:
    """Raise `ModelError` if this thread registers more than `limit` parameters or modules."""
    thread = threading.get_ident()
    left = {"parameters": limit, "modules": limit}

    def count(kind: str) -> None:
        if threading.get_ident() == thread:
            left[kind] -= 1
            if left[kind] < 0:
                raise _too_much(f"it asks for more than {limit:,} {kind}", tensors, model)

    handles = on_registration(lambda: count("parameters"), lambda: count("modules"))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _too_much(what: str, tensors: int, model: str) -> ModelError:
    return ModelError(
        f"config.json of {model} does not fit its weights: {what}, "
        f"and the checkpoint has {tensors:,} tensors",
        hint=_HINT,
    )
