"""Texts that everyone has: Python's documentation and docstrings, to calibrate and to measure with.

`LOOKED_AT` and `HELD_OUT` are modules whose docstrings are to be measured with. The first were
looked at while quantizers were tuned, the others never: results are claimed on those.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

LOOKED_AT = (
    "argparse",
    "collections",
    "json",
    "unittest",
    "asyncio",
    "logging",
    "decimal",
    "statistics",
    "subprocess",
    "pathlib",
)
HELD_OUT = (
    "configparser",
    "contextlib",
    "csv",
    "ctypes",
    "dataclasses",
    "datetime",
    "difflib",
    "email.message",
    "fractions",
    "functools",
    "gettext",
    "heapq",
    "imaplib",
    "inspect",
    "itertools",
    "locale",
    "mailbox",
    "optparse",
    "os",
    "random",
    "shutil",
    "socket",
    "sqlite3",
    "string",
    "tarfile",
    "tempfile",
    "textwrap",
    "threading",
    "turtle",
    "urllib.request",
    "zipfile",
)

LENGTH = 256
"""Tokens of a passage."""


def topics() -> str:
    """Return the text to calibrate with: all of Python's help on its language."""
    from pydoc_data import topics

    return "\n\n".join(topics.topics.values())


def looked_at() -> str:
    """Return docstrings that were looked at while tuning."""
    return "\n\n".join(_docstrings(LOOKED_AT))


def held_out() -> str:
    """Return docstrings that were not, none of them twice."""
    seen = {*_docstrings(LOOKED_AT)}
    return "\n\n".join(text for text in dict.fromkeys(_docstrings(HELD_OUT)) if text not in seen)


def passages(tokenizer: Any, text: str, count: int, length: int = LENGTH) -> list[torch.Tensor]:
    """Return the first passages of a text, (1, length) token ids each, or as many as there are."""
    ids = tokenizer(text, return_tensors="pt", verbose=False).input_ids
    return [part for part in ids.split(length, dim=1)[:count] if part.shape[1] == length]


def _docstrings(modules: tuple[str, ...]) -> Iterator[str]:
    """Yield the docstrings of modules and of what they offer."""
    for name in modules:
        module = importlib.import_module(name)
        yield module.__doc__ or ""
        for value in vars(module).values():
            text = getattr(value, "__doc__", None)
            if callable(value) and isinstance(text, str):
                yield text
