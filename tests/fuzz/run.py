"""Damage tiny models, give them to quantcli, and report all but a success or an error of its own.

python tests/fuzz/run.py --cases 3000 --seed 1
python tests/fuzz/run.py --seed 1 --case 17
python tests/fuzz/run.py --suite compare --cases 500
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fuzz.cases import Result
    from fuzz.steps import Finding

STEPS = {
    "models": ("size", "quantize", "reload", "verify", "load"),
    "compare": ("compare",),
}
"""The steps of each suite."""


def main(arguments: list[str] | None = None) -> int:
    asked = _parse(arguments)
    os.environ |= {
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "OMP_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "TRANSFORMERS_VERBOSITY": "error",
    }
    sys.path.insert(0, str(Path(__file__).parents[1]))
    with tempfile.TemporaryDirectory(prefix="quantcli-fuzz-") as name:
        root = Path(name)
        os.environ["HF_HOME"] = str(root / "hub")
        results = list(_run(asked, root))
    print(table(results, STEPS[asked.suite]))
    distinct = by_key(results)
    for found in distinct.values():
        print(f"\n{summary(found, asked.seed, asked.suite)}")
    print(f"\n{len(results)} cases, {len(distinct)} distinct findings, seed {asked.seed}")
    return 1 if distinct else 0


def _run(asked: argparse.Namespace, root: Path) -> Iterator[Result]:
    from fuzz import cases, targets
    from fuzz.worker import Limits, Worker

    (root / "targets").mkdir()
    targets.build(root / "targets")
    numbers: Iterable[int] = range(asked.cases) if asked.case is None else [asked.case]
    began = time.monotonic()
    act = partial(cases.run, suite=asked.suite)
    with Worker(root, asked.seed, Limits(seconds=asked.limit), act) as worker:
        for number in numbers:
            if asked.seconds is not None and time.monotonic() - began > asked.seconds:
                break
            result = worker.run(number)
            if result.record.findings or asked.case is not None:
                _keep(result, root, asked)
            yield result


def _keep(result: Result, root: Path, asked: argparse.Namespace) -> None:
    """Keep the damaged folder of a case, and say what was done to it and what became of it."""
    from fuzz.cases import changes

    folder = asked.keep / f"{asked.seed}-{result.case.number}"
    shutil.rmtree(folder, ignore_errors=True)
    if (root / "case" / "model").exists():
        copy(root / "case" / "model", folder)
    print(f"case {result.case.number} of {result.case.target}, kept in {folder}", file=sys.stderr)
    for line in changes(root / "targets", result.case, folder):
        print(f"    {line}", file=sys.stderr)
    for step, outcome in result.record.outcomes.items():
        print(f"    {step}: {outcome[:200]}", file=sys.stderr)
    for finding in result.record.findings:
        print(f"    FINDING in {finding.step}: {finding.kind} {finding.where}", file=sys.stderr)


def copy(source: Path, folder: Path) -> None:
    """Copy a folder with its links; of a huge file only the beginning, and its size."""

    def copy_file(one: str, other: str) -> None:
        with Path(one).open("rb") as read, Path(other).open("wb") as write:
            write.write(read.read(2**25))
        os.truncate(other, Path(one).stat().st_size)

    shutil.copytree(source, folder, symlinks=True, copy_function=copy_file)


Found = list[tuple["Result", "Finding"]]


def by_key(results: Iterable[Result]) -> dict[tuple[str, str], Found]:
    """Group findings by their kind and the line of quantcli, the most frequent first."""
    found: dict[tuple[str, str], Found] = defaultdict(list)
    for result in results:
        for finding in result.record.findings:
            found[finding.kind, finding.where or finding.step].append((result, finding))
    return dict(sorted(found.items(), key=lambda item: -len(item[1])))


def summary(found: Found, seed: int, suite: str = "models") -> str:
    """Tell of one group of findings, with the first of them whole."""
    result, finding = found[0]
    cases = list(dict.fromkeys(result.case.number for result, _ in found))
    steps = ", ".join(sorted({finding.step for _, finding in found}))
    again = f"python tests/fuzz/run.py --seed {seed} --case {result.case.number}"
    again += "" if suite == "models" else f" --suite {suite}"
    return (
        f"{finding.kind} in {steps} at {finding.where or 'no line'}: {len(found)} times\n"
        f"  of {result.case.target}: {'; '.join(result.case.damage)}\n"
        f"  again: {again}   (also {', '.join(map(str, cases[1:8])) or 'none'})\n"
        + "\n".join(f"  | {line}" for line in finding.detail.rstrip().splitlines()[-30:])
    )


def table(results: Iterable[Result], steps: Iterable[str]) -> str:
    """Count what became of the steps of each target: done, refused, a finding."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for result in results:
        row = counts[result.case.target or "(lost)"]
        row["cases"] += 1
        row["findings"] += len(result.record.findings)
        for step, outcome in result.record.outcomes.items():
            row[f"{step} {outcome if outcome == 'ok' else outcome.partition(':')[0]}"] += 1
    heads = ["cases", *(f"{step} {end}" for step in steps for end in ("ok", "refused")), "findings"]
    widths = [max(len(head), 5) for head in heads]
    first = max([len(name) for name in counts] + [6])
    lines = [
        "target".ljust(first) + "".join(f"  {h:>{w}}" for h, w in zip(heads, widths, strict=True))
    ]
    for name, row in sorted(counts.items()):
        cells = "".join(f"  {row[h]:>{w}}" for h, w in zip(heads, widths, strict=True))
        lines.append(name.ljust(first) + cells)
    return "\n".join(lines)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Damage tiny models, and give them to quantcli.")
    parser.add_argument("--cases", type=int, default=3000, help="how many (default: 3000)")
    parser.add_argument("--seed", type=int, default=0, help="what decides the damage (default: 0)")
    parser.add_argument("--seconds", type=float, help="stop after so many seconds")
    parser.add_argument("--case", type=int, help="run this one only, and tell all about it")
    parser.add_argument("--suite", choices=STEPS, default="models", help="what is run")
    parser.add_argument("--limit", type=float, default=20, help="seconds of a case (default: 20)")
    keep = Path(tempfile.gettempdir()) / "quantcli-fuzz"
    parser.add_argument("--keep", type=Path, default=keep, help=f"for findings (default: {keep})")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
