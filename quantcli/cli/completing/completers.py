"""What may stand where in a command line, for shells to complete. Asks files only, no server."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from quantcli.formats import WEIGHTS
from quantcli.mark import MANIFEST

Found = list[str | tuple[str, str]]
"""Values, some with a description."""

Completer = Callable[[str], Found]

_KINDS = {MANIFEST: "frozen", "model_index.json": "pipeline", "config.json": "model"}
"""A file of a folder -> what the folder is; the first one counts."""

_ORDER = ("frozen", "model", "pipeline", "")


def one_of(values: Sequence[str]) -> Completer:
    """Return a completer for a choice of words."""
    return lambda incomplete: [value for value in values if value.startswith(incomplete)]


def dtypes(incomplete: str) -> Found:
    """Return the weight dtypes."""
    return one_of(WEIGHTS)(incomplete)


def folders(incomplete: str) -> Found:
    """Return folders, frozen directories first. Those that are no model end in a slash."""
    found = sorted(_folders(incomplete), key=lambda pair: (_ORDER.index(pair[1]), pair[0]))
    return [(path, kind) if kind else path + "/" for path, kind in found]


def models(incomplete: str) -> Found:
    """Return folders, and the models in the Hugging Face cache. Asks no server."""
    found = folders(incomplete)
    if incomplete.startswith((".", "/", "~")):
        return found
    cached = [(name, "cached") for name in _cached() if name.startswith(incomplete)]
    return [
        *(x for x in found if isinstance(x, tuple)),
        *cached,
        *(x for x in found if str(x) == x),
    ]


def recipes(incomplete: str) -> Found:
    """Return the shipped recipes, TOML files and folders."""
    from quantcli.recipe.files import shipped

    parent, entries = _entries(incomplete)
    files = [parent + entry.name for entry in entries if entry.name.endswith(".toml")]
    names = [(name, "shipped recipe") for name in shipped() if name.startswith(incomplete)]
    return [*names, *files, *(path + "/" for path, kind in _folders(incomplete) if not kind)]


def gates(incomplete: str) -> Found:
    """Return the start of a gate for each metric: the name and the sign of what is better."""
    from quantcli.comparison.metrics import METRICS

    signs = {"higher": ">=", "lower": "<="}
    return [
        (metric.name + signs[metric.better], metric.description)
        for metric in METRICS
        if metric.better in signs and metric.name.startswith(incomplete) and "*" not in metric.name
    ]


def regressions(incomplete: str) -> Found:
    """Return the start of a maximum regression for each metric: the name and "="."""
    return [(gate[0].rstrip("<>=") + "=", gate[1]) for gate in gates(incomplete) if len(gate) == 2]


def _folders(incomplete: str) -> Iterator[tuple[str, str]]:
    parent, entries = _entries(incomplete)
    for entry in entries:
        if entry.is_dir():
            names = (name for name in _KINDS if Path(entry.path, name).exists())
            yield parent + entry.name, _KINDS.get(next(names, ""), "")


def _entries(incomplete: str) -> tuple[str, list[os.DirEntry[str]]]:
    """Return the folder in a path that is being typed, and what in it the rest may stand for."""
    folder, slash, start = incomplete.rpartition("/")
    parent = folder + slash
    try:
        with os.scandir(parent or ".") as entries:
            found = [entry for entry in entries if entry.name.startswith(start)]
    except OSError:
        found = []
    shown = [entry for entry in found if start.startswith(".") or not entry.name.startswith(".")]
    return parent, sorted(shown, key=lambda entry: entry.name)


def _cached() -> list[str]:
    """Return the models in the Hugging Face cache, which is found as huggingface_hub finds it."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "huggingface")
    home = Path(os.environ.get("HF_HOME") or home)
    cache = Path(os.environ.get("HF_HUB_CACHE") or home / "hub").expanduser()
    repos = [
        path.parent.name.removeprefix("models--") for path in cache.glob("models--*/snapshots")
    ]
    return sorted(name.removeprefix("models--").replace("--", "/", 1) for name in repos)
