"""Train the tiny models of the tests; print how long each takes, how big and how good it is."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from trained import NAMES
from trained.cache import quality, train


def main() -> None:
    """Train models into a temporary folder, past the cache, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of: {', '.join(NAMES)}")
    names = parser.parse_args().names or NAMES
    if unknown := set(names) - set(NAMES):
        parser.error(f"no such model: {', '.join(sorted(unknown))}")
    quiet()
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as place:
        for name in names:
            print(describe(name, Path(place) / name), flush=True)
    print(f"all: {time.perf_counter() - start:.1f} s", file=sys.stderr)


def describe(name: str, folder: Path) -> str:
    """Train a model and say what came of it."""
    start = time.perf_counter()
    train(name, folder)
    seconds = time.perf_counter() - start
    size = sum(path.stat().st_size for path in folder.iterdir())
    good = ", ".join(f"{what} {value:.3f}" for what, value in quality(name, folder).items())
    return f"{name}: {seconds:.1f} s, {size / 1e6:.1f} MB, {good}"


def quiet() -> None:
    """Keep progress bars off."""
    import transformers

    transformers.logging.disable_progress_bar()


if __name__ == "__main__":
    main()
