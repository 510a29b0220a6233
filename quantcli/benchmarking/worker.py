"""One side of a benchmark, in a process of its own: load a model, then run what is asked for.

The arguments are JSON (`model`, `kernels`, `activations`, `trust_remote_code`, `seed`, `batches`)
and the number of the connection to the process that started this one. That sends the index of a
workload, or None at the end; the answers are dicts: first what was loaded, then the seconds of
runs, at last the peak of the memory.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from multiprocessing.connection import Connection
from typing import Any

ENOUGH = 0.3
"""Seconds of a workload in one round, at least, unless one run takes longer."""

MOST = 50
"""Runs in one round, at most."""


def main() -> None:
    """Serve the process that started this one, until it says that this is the end."""
    asked = json.loads(sys.argv[1])
    with Connection(int(sys.argv[2])) as connection:
        try:
            _serve(asked, connection)
        except Exception as error:  # noqa: BLE001 - told to the process that started this one
            hint = getattr(error, "hint", None)
            connection.send({"error": str(error) or type(error).__name__, "hint": hint})


def _serve(asked: dict[str, Any], connection: Connection) -> None:
    import torch

    from quantcli.benchmarking.workloads import tasks_of
    from quantcli.comparison.engine.opening import open_side
    from quantcli.loading.runtime import asking
    from quantcli.process import peak_rss_bytes, reset_peak_rss

    side = open_side(asked["model"], trust_remote_code=asked["trust_remote_code"])
    _import_class(side)
    before = peak_rss_bytes() if reset_peak_rss() else None
    began = time.perf_counter()
    with asking(kernels=asked["kernels"], activations=asked["activations"]):
        model = side.load("cpu")
    seconds = time.perf_counter() - began
    with torch.inference_mode():
        tasks = tasks_of(model, seed=asked["seed"], batches=asked["batches"])
        connection.send(
            {
                "load_seconds": seconds,
                "threads": torch.get_num_threads(),
                "workloads": [task.workload for task in tasks],
            }
        )
        while (index := connection.recv()) is not None:
            connection.send(_run(tasks[index]))
    peak = None if before is None else max(0, peak_rss_bytes() - before)
    connection.send({"peak_bytes": peak})


def _run(task: Any) -> dict[str, Any]:
    """Run a workload for a while, after one run that is not timed."""
    from quantcli.benchmarking.workloads import prepare

    found: list[float] = []
    try:
        prepare(task)
        task.run()
        while not found or (sum(found) < ENOUGH and len(found) < MOST):
            prepare(task)
            began = time.perf_counter()
            task.run()
            found.append(time.perf_counter() - began)
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        return {"problem": f"{type(error).__name__}: {error}".partition("\n")[0]}
    return {"seconds": found}


def _import_class(side: Any) -> None:
    """Import what the model needs, and run some of it, so that it does not count as the model's."""
    with contextlib.suppress(Exception):
        from quantcli.loading.classes import frozen_class

        if side.model_class is None:
            frozen_class(side.folder, side.config, trust_remote_code=side.trust_remote_code)
    import torch

    from quantcli.kinds.registry import kind_for
    from quantcli.loading import register

    register()
    for dtype in (torch.float32, torch.bfloat16):
        layer = torch.nn.Linear(64, 64, dtype=dtype)
        layer(torch.ones(32, 64, dtype=dtype))
        kind_for(layer)


if __name__ == "__main__":
    main()
