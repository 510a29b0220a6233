"""Turn a frozen directory back into an ordinary checkpoint."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from quantcli.api.request import MAX_SHARD_SIZE
from quantcli.errors import UsageError, did_you_mean
from quantcli.files import OTHER_OUTPUT
from quantcli.formats import canonical
from quantcli.frozen.manifest import files_below, read_manifest
from quantcli.frozen.staging import Staging, check_output, digest_of, machine_errors
from quantcli.mark import MANIFEST
from quantcli.paths import expand

if TYPE_CHECKING:
    from quantcli.execute import Progress

DTYPES = ("float32", "float16", "bfloat16")
"""What a checkpoint can be cast to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DequantizeRequest:
    """A frozen directory, and what to write of it: see `dequantize`."""

    directory: Path
    output: Path
    dtype: str | None = None
    max_shard_size: int = MAX_SHARD_SIZE
    jobs: int | None = None
    trust_remote_code: bool = False
    overwrite: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Dequantized:
    """A checkpoint that `dequantize` wrote. Implements `os.PathLike`.

    `model` and `revision` are those of the original, `weights` is what it was frozen to. `dtype`
    is None for a pipeline whose components keep theirs. `nbytes` are those of the tensors,
    `frozen_nbytes` those of the frozen directory. `seconds` is the time of writing the weights.
    """

    directory: Path
    output: Path
    model: str
    revision: str | None
    weights: str
    dtype: str | None
    nbytes: int
    frozen_nbytes: int
    seconds: float

    def __fspath__(self) -> str:
        return str(self.output)


class _Written(Protocol):
    """What is written for a model or a pipeline."""

    @property
    def nbytes(self) -> int: ...

    @property
    def needed(self) -> int: ...

    def write(self, folder: Path, *, jobs: int, progress: Progress | None = None) -> None: ...

    def write_rest(self, folder: Path) -> None: ...


def dequantize(
    directory: str | os.PathLike[str],
    *,
    output: str | os.PathLike[str],
    dtype: Any = None,
    max_shard_size: int = MAX_SHARD_SIZE,
    jobs: int | None = None,
    trust_remote_code: bool = False,
    overwrite: bool = False,
) -> Dequantized:
    """Write the checkpoint that a frozen directory was made from, with its dequantized weights.

    It needs neither quantcli nor Quanto, and has the names of the original. Its weights are those
    that the frozen model computes with, cast to `dtype`, by default that of the frozen model. An
    existing output is replaced only with `overwrite`, and only if quantcli wrote it.
    `max_shard_size` is in bytes, `jobs` the number of threads. `trust_remote_code` lets the code of
    a model run where its class is needed.

    Raises `UsageError`, `ModelError` or `MachineError`, and then leaves no files behind.
    """
    request = DequantizeRequest(
        directory=Path(expand(directory)),
        output=Path(expand(output)),
        dtype=None if dtype is None else parse_dtype(dtype),
        max_shard_size=max_shard_size,
        jobs=jobs,
        trust_remote_code=trust_remote_code,
        overwrite=overwrite,
    )
    return dequantize_request(request)


def dequantize_request(
    request: DequantizeRequest,
    *,
    progress: Progress | None = None,
    on_plan: Callable[[], None] | None = None,
) -> Dequantized:
    """Run a request. `on_plan` is called before anything is written."""
    from quantcli.dequantization.made import is_replaceable

    target = request.output
    manifest = read_manifest(request.directory)
    check_output(target, overwrite=request.overwrite, is_ours=is_replaceable)
    _check_apart(request.directory, target)
    with ExitStack() as stack:
        written = _plan(request, stack)
        if on_plan is not None:
            on_plan()
        staging = Staging(
            target,
            digest=_digest(request),
            needed=written.needed,
            overwrite=request.overwrite,
            is_ours=is_replaceable,
        )
        with staging:
            began = time.perf_counter()
            jobs = request.jobs or os.cpu_count() or 1
            written.write(staging.folder, jobs=jobs, progress=progress)
            result = _result(request, manifest, written, time.perf_counter() - began)
            with machine_errors(target):
                _write_rest(written, staging.folder, manifest, result)
            staging.commit()
    return result


def parse_dtype(dtype: Any) -> str:
    """Return the name of a dtype that a checkpoint can be cast to. Raises `UsageError`."""
    found = {"fp32": "float32", "f32": "float32"}.get(str(dtype).lower(), canonical(dtype))
    name = str(found).removeprefix("torch.")
    if name not in DTYPES:
        raise UsageError(f"--dtype: unknown value: {dtype}", hint=did_you_mean(name, DTYPES))
    return name


def _plan(request: DequantizeRequest, stack: ExitStack) -> _Written:
    from quantcli.pipelines.index import is_pipeline_folder

    options: dict[str, Any] = {
        "dtype": request.dtype,
        "max_shard_size": request.max_shard_size,
        "trust_remote_code": request.trust_remote_code,
    }
    if is_pipeline_folder(request.directory):
        from quantcli.pipelines.dequantize import plan_pipeline_dequantization

        return plan_pipeline_dequantization(request.directory, stack, **options)
    from quantcli.dequantization.model import plan_dequantization
    from quantcli.dequantization.reader import FrozenReader

    trusted = request.trust_remote_code
    reader = stack.enter_context(FrozenReader(request.directory, trust_remote_code=trusted))
    return plan_dequantization(reader, **options)


def _result(
    request: DequantizeRequest, manifest: Mapping[str, Any], written: _Written, seconds: float
) -> Dequantized:
    own = None if "components" in manifest else str(manifest["dtype"])
    return Dequantized(
        directory=request.directory,
        output=request.output,
        model=str(manifest["source"].get("model", "")),
        revision=manifest["source"]["revision"],
        weights=manifest["weights"],
        dtype=request.dtype or own,
        nbytes=written.nbytes,
        frozen_nbytes=manifest["footprint"]["quantized"]["bytes"],
        seconds=seconds,
    )


def _write_rest(
    written: _Written, folder: Path, manifest: Mapping[str, Any], result: Dequantized
) -> None:
    from quantcli.dequantization.card import dequantized_card
    from quantcli.files import write_text

    written.write_rest(folder)
    library = "diffusers" if "components" in manifest else "transformers"
    card = dequantized_card(
        manifest, dtype=result.dtype or "its own dtypes", nbytes=result.nbytes, library=library
    )
    write_text(folder / "README.md", card)


def _check_apart(folder: Path, output: Path) -> None:
    """Raise `UsageError` if writing the output would remove what is read, or write into it."""
    source, target = folder.resolve(), output.resolve()
    if source.is_relative_to(target) or target.is_relative_to(source):
        raise UsageError(f"{output} and {folder} are in each other", hint=OTHER_OUTPUT)


def _digest(request: DequantizeRequest) -> str:
    folder = request.directory
    files = {MANIFEST: folder / MANIFEST, **files_below(folder)}
    return digest_of(f"{request.dtype} {request.max_shard_size}", files)
