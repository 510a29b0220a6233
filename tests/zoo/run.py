"""Plan and run every model type of transformers, and write docs/zoo.md.

Results are kept as they come, and are taken again while neither the code nor a library changes.
"""

from __future__ import annotations

import argparse
import fnmatch
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "zoo.md"

if TYPE_CHECKING:
    from zoo.pool import Job

QUIET = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_VERBOSITY": "error",
}


def main(arguments: list[str] | None = None) -> int:
    asked = parse(arguments)
    os.environ |= QUIET
    sys.path[0] = str(TESTS)
    from zoo import page, results, totals
    from zoo.pool import run_jobs

    store = results.Store(asked.results, again=asked.again)
    waiting = [job for job in jobs(asked) if store.find(job.stage, job.model_type) is None]
    for count, (job, result) in enumerate(run_jobs(waiting, workers=asked.workers), 1):
        store.add(job.stage, job.model_type, result)
        state = result["reason"] if "failed" in result else "done"
        print(f"{count}/{len(waiting)} {job.stage} {job.model_type}: {state}", file=sys.stderr)
    if asked.only == "*":
        stages = [store.all(stage) for stage in ("plan", "run", "heads")]
        PAGE.write_text(page.render(*stages), encoding="utf-8")
        print(f"wrote {PAGE}", file=sys.stderr)
    print(totals.table(totals.totals(store.all("plan"), store.all("run"))))
    return 0


def jobs(asked: argparse.Namespace) -> Iterator[Job]:
    from zoo.heads import FAMILIES, run_heads
    from zoo.model_types import model_types
    from zoo.planned import plan_type
    from zoo.pool import Job
    from zoo.ran import run_type

    names = fnmatch.filter(model_types(), asked.only)
    yield from (Job("plan", name, plan_type, seconds=180, nbytes=6 * 2**30) for name in names)
    yield from (Job("run", name, run_type, seconds=180, nbytes=5 * 2**30) for name in names)
    families = fnmatch.filter(FAMILIES, asked.only)
    yield from (Job("heads", name, run_heads, seconds=300, nbytes=5 * 2**30) for name in families)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default="*", metavar="GLOB", help="model types; default: all")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, metavar="N")
    parser.add_argument("--again", action="store_true", help="take no earlier results")
    parser.add_argument(
        "--results",
        type=Path,
        default=TESTS.parent / "build" / "zoo.jsonl",
        metavar="FILE",
        help="where results are kept, a line each; default: %(default)s",
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
