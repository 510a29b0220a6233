"""The benchmark: quantcli against `cp`, against plain Quanto, and against its own bars.

The sides of an experiment alternate in one run, each from a warm page cache and with nothing left
to be written back. It is a measurement, not a test: a missed bar is printed, and is no failure.
"""

from __future__ import annotations

import argparse
import fnmatch
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmark import runner, table
from benchmark.catalogue import EXPERIMENTS
from benchmark.experiments import Setting


def main() -> int:
    asked = arguments()
    names = [name for name in EXPERIMENTS if fnmatch.fnmatch(name, asked.only)]
    if not names:
        print(f"--only {asked.only} matches none of {', '.join(EXPERIMENTS)}", file=sys.stderr)
        return 2
    asked.cache.mkdir(parents=True, exist_ok=True)
    results: list[runner.Result] = []
    failed = 0
    for name in names:
        print(f"measuring {name}", file=sys.stderr, flush=True)
        try:
            results += measure(name, asked.cache, rounds=asked.rounds, tiny=asked.tiny)
        except subprocess.CalledProcessError as error:
            print(f"{error}\n{error.stderr or ''}", file=sys.stderr)
            failed += 1
    print(table.markdown(results) if asked.markdown else table.plain(results))
    print(f"\n{table.machine(asked.cache, rounds=asked.rounds)}")
    if asked.tiny:
        print("These were toy models: the figures say nothing.")
    return 1 if failed else 0


def measure(name: str, cache: Path, *, rounds: int, tiny: bool) -> list[runner.Result]:
    """Run one experiment; its outputs go to the disk of the models, and are removed."""
    setting = Setting(cache=cache, tiny=tiny)
    with setting.opened, tempfile.TemporaryDirectory(dir=cache, prefix="bench-") as scratch:
        return runner.run(EXPERIMENTS[name](setting), rounds=rounds, scratch=Path(scratch))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=positive, default=5, metavar="N", help="default: 5")
    parser.add_argument(
        "--only", default="*", metavar="GLOB", help=f"of {', '.join(EXPERIMENTS)}; default: all"
    )
    parser.add_argument(
        "--cache",
        type=Path,
        default=Path.home() / ".cache" / "quantcli-bench",
        metavar="DIR",
        help="where models are built, once, and outputs are written; default: %(default)s",
    )
    parser.add_argument("--markdown", action="store_true", help="print the table in Markdown")
    parser.add_argument(
        "--tiny", action="store_true", help="take toy models: shows that it runs, and no more"
    )
    return parser.parse_args()


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


if __name__ == "__main__":
    sys.exit(main())
