"""Stop a config that asks for far more than its checkpoint holds, before it fills the memory.

A damaged `num_hidden_layers` of 2^31 would build modules for days. Tensors on the meta device cost
nothing, but modules and Python lists do.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from quantcli.errors import ModelError

FEW = 2048
"""What every model may have: layers that share their tensors, modules without any."""

PER_TENSOR = 8
"""Parameters, and modules, for each tensor of the checkpoint.

Loading splits a fused tensor into three (query, key, value) and clones a tied one for each layer of
a head; a block has as many modules without parameters (activations, dropouts) as with them.
"""

LABELS = 2**17
"""Labels of a classifier; transformers makes a name for each."""

_HINT = "config.json is damaged, or not that of these weights"

_COUNTS = re.compile(r"(^|_)(layers?|depths?|blocks|experts|stages|levels|hidden_groups|loops)$")
_LABELS = re.compile(r"(^|[_.])num(_\w+)?_(labels|classes)$")


@contextmanager
def bounded(config: Mapping[str, Any], *, tensors: int, model: str) -> Iterator[None]:
    """Raise `ModelError` where building a model goes beyond what a checkpoint can fill.

    `config` is the content of config.json and `tensors` how many tensors the checkpoint holds.
    Config and model are both to be built inside: some configs list every layer.
    """
    for key, value in _counts(config):
        limit = LABELS if _LABELS.search(key) else max(FEW, tensors)
        if value > limit:
            raise _too_much(f"{key} is {value:,}", tensors, model)
    with _counted(FEW + PER_TENSOR * tensors, tensors, model):
        yield


def _counts(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """Yield the entries of a config and its parts that say how often something is built."""
    for key, value in ((str(key), value) for key, value in config.items()):
        if isinstance(value, dict):
            yield from _counts(value, f"{prefix}{key}.")
        elif _COUNTS.search(key) or _LABELS.search(key):
            values = value if isinstance(value, list) else [value]
            yield from ((f"{prefix}{key}", v) for v in values if isinstance(v, int | float))


@contextmanager
def _counted(limit: int, tensors: int, model: str) -> Iterator[None]:
    """Count the parameters and the modules that this thread registers."""
    from torch.nn.modules import module as hooks

    thread = threading.get_ident()
    left = {"parameters": limit, "modules": limit}

    def count(kind: str) -> None:
        if threading.get_ident() == thread:
            left[kind] -= 1
            if left[kind] < 0:
                raise _too_much(f"it asks for more than {limit:,} {kind}", tensors, model)

    handles = [
        hooks.register_module_parameter_registration_hook(lambda *_: count("parameters")),
        hooks.register_module_module_registration_hook(lambda *_: count("modules")),
    ]
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
