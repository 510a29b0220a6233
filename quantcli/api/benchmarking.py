"""Measure how fast a frozen model runs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quantcli.benchmarking.results import Benchmark
from quantcli.benchmarking.run import BenchRequest, SideRequest, run_benchmark
from quantcli.errors import ModelError, UsageError
from quantcli.mark import SECTION
from quantcli.paths import expand

if TYPE_CHECKING:
    from quantcli.execute import Progress

ROUNDS = 5

BATCHES = (1, 8, 32)


def bench(
    directory: str | os.PathLike[str],
    *,
    against: str | os.PathLike[str] | None = None,
    rounds: int = ROUNDS,
    batches: Sequence[int] = BATCHES,
    seed: int = 0,
    trust_remote_code: bool = False,
) -> Benchmark:
    """Measure how fast a frozen directory runs, with each kernel choice that the machine has.

    `against` is the original, a Hub id or folder, to be measured beside it. Each side runs in a
    process of its own, and they take turns in each of the `rounds`. `batches` are those of models
    that do not write text. Raises `UsageError`; `ModelError` for what cannot be loaded or measured.
    """
    request = make_bench_request(
        directory,
        against=against,
        rounds=rounds,
        batches=batches,
        seed=seed,
        trust_remote_code=trust_remote_code,
    )
    return bench_request(request)


def make_bench_request(
    directory: str | os.PathLike[str],
    *,
    against: str | os.PathLike[str] | None,
    rounds: int,
    batches: Sequence[int],
    seed: int,
    trust_remote_code: bool,
    show_downloads: bool = False,
) -> BenchRequest:
    """Check what is to be measured, and download the original if needed."""
    from quantcli.loading.model import read_frozen_config

    if rounds < 1 or min(batches, default=0) < 1:
        raise UsageError("rounds and batches must be at least 1")
    folder = Path(expand(os.fspath(directory)))
    _check_kind(folder)
    section = read_frozen_config(folder)[SECTION]
    sides = [*_choices(str(folder), section)]
    if against is not None:
        from quantcli.comparison.engine.opening import open_side

        original = os.fspath(against)
        open_side(original, trust_remote_code=trust_remote_code, progress=show_downloads)
        sides.insert(0, SideRequest(name="original", model=original))
    return BenchRequest(
        directory=str(folder),
        sides=tuple(sides),
        rounds=rounds,
        batches=tuple(batches),
        seed=seed,
        trust_remote_code=trust_remote_code,
        notices=tuple(_notices()),
    )


def bench_request(request: BenchRequest, progress: Progress | None = None) -> Benchmark:
    """Run a request."""
    from quantcli.execute.run import NoProgress

    return run_benchmark(request, progress or NoProgress())


def _choices(model: str, section: Mapping[str, Any]) -> Iterator[SideRequest]:
    """Yield each way in which this machine can run a directory, Quanto's own first."""
    from quantcli.kernels.machine import costs, has_int8_products

    has_int8_layers = any(each["weights"] == "qint8" for each in section["modules"].values())
    yield SideRequest(name="quanto", model=model, kernels="quanto", activations="none")
    if costs() is not None:
        yield SideRequest(name="auto", model=model, kernels="auto", activations="none")
    if has_int8_products() and has_int8_layers:
        yield SideRequest(
            name="auto, int8 activations",
            model=model,
            kernels="auto",
            activations="int8",
            optional=True,
        )


def _check_kind(folder: Path) -> None:
    from quantcli.api.loading import is_of_diffusers
    from quantcli.pipelines.index import is_pipeline_folder

    if is_of_diffusers(folder):
        raise ModelError(f"{folder} is a model of diffusers; bench runs those of transformers")
    if is_pipeline_folder(folder):
        raise ModelError(
            f"{folder} is a pipeline, and bench runs models only",
            hint=f"compare tells how long its images take: quantcli compare MODEL {folder}",
        )


def _notices() -> Iterator[str]:
    from quantcli.kernels.machine import costs, has_int8_products

    if costs() is None:
        yield "this CPU has no AVX-512: Quanto's own arithmetic is all there is for it"
    elif not has_int8_products():
        yield "this CPU has no AVX-512 VNNI: int8 activations would not be faster"
