"""Turn a frozen directory back into an ordinary checkpoint."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from quantcli.api.request import MAX_SHARD_SIZE
from quantcli.errors import ModelError, UsageError, did_you_mean
from quantcli.files import OTHER_OUTPUT
from quantcli.formats import canonical
from quantcli.frozen.manifest import files_below, read_manifest
from quantcli.frozen.staging import Staging, check_output, machine_errors
from quantcli.mark import MANIFEST
from quantcli.paths import expand

if TYPE_CHECKING:
    from quantcli.execute import Progress

DTYPES = ("float32", "float16", "bfloat16")
"""What a checkpoint can be cast to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dequantized:
    """A checkpoint that `dequantize` wrote. Implements `os.PathLike`.

    `model` and `revision` are those of the original, `weights` is what it was frozen to. `nbytes`
    are those of the tensors, `frozen_nbytes` those of the frozen directory. `seconds` is the time of
    writing the weights.
    """

    directory: Path
    output: Path
    model: str
    revision: str | None
    weights: str
    dtype: str
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
    overwrite: bool = False,
    jobs: int | None = None,
    trust_remote_code: bool = False,
    progress: Progress | None = None,
    on_plan: Callable[[], None] | None = None,
) -> Dequantized:
    """Write the checkpoint that a frozen directory was made from, with its dequantized weights.

    It needs neither quantcli nor Quanto, and has the names of the original. Its weights are those
    that the frozen model computes with, cast to `dtype`, by default that of the frozen model. An
    existing output is replaced only with `overwrite`, and only if it is a frozen directory or was
    dequantized too. `max_shard_size` is in bytes, `jobs` the number of threads. `on_plan` is called
    before anything is written.

    Raises `UsageError`, `ModelError` or `MachineError`, and then leaves no files behind.
    """
    wanted = None if dtype is None else parse_dtype(dtype)
    folder, target = Path(expand(directory)), Path(expand(output))
    manifest = read_manifest(folder)
    from quantcli.dequantization.made import is_replaceable

    check_output(target, overwrite=overwrite, is_ours=is_replaceable)
    _check_apart(folder, target)
    with ExitStack() as stack:
        options = {"dtype": wanted, "max_shard_size": max_shard_size}
        written = _plan(folder, stack, trust_remote_code=trust_remote_code, **options)
        if on_plan is not None:
            on_plan()
        staging = Staging(
            target,
            digest=_digest(folder, options),
            needed=written.needed,
            overwrite=overwrite,
            is_ours=is_replaceable,
        )
        with staging:
            began = time.perf_counter()
            written.write(staging.folder, jobs=jobs or os.cpu_count() or 1, progress=progress)
            seconds = time.perf_counter() - began
            result = Dequantized(
                directory=folder,
                output=target,
                model=str(manifest["source"].get("model", "")),
                revision=manifest["source"]["revision"],
                weights=manifest["weights"],
                dtype=wanted or str(manifest.get("dtype", "")),
                nbytes=written.nbytes,
                frozen_nbytes=manifest["footprint"]["quantized"]["bytes"],
                seconds=seconds,
            )
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


def _plan(folder: Path, stack: ExitStack, *, trust_remote_code: bool, **options: Any) -> _Written:
    from quantcli.pipelines.index import is_pipeline_folder

    if is_pipeline_folder(folder):
        from quantcli.pipelines.dequantize import plan_pipeline_dequantization

        return plan_pipeline_dequantization(
            folder, stack, trust_remote_code=trust_remote_code, **options
        )
    from quantcli.dequantization.model import plan_dequantization
    from quantcli.dequantization.reader import FrozenReader

    reader = stack.enter_context(FrozenReader(folder, trust_remote_code=trust_remote_code))
    return plan_dequantization(reader, trust_remote_code=trust_remote_code, **options)


def _write_rest(
    written: _Written, folder: Path, manifest: Mapping[str, Any], result: Dequantized
) -> None:
    from quantcli.dequantization.card import dequantized_card
    from quantcli.files import write_text

    written.write_rest(folder)
    library = "diffusers" if "components" in manifest else "transformers"
    card = dequantized_card(manifest, dtype=result.dtype, nbytes=result.nbytes, library=library)
    write_text(folder / "README.md", card)


def _check_apart(folder: Path, output: Path) -> None:
    """Raise `UsageError` if writing the output would remove what is read, or write into it."""
    source, target = folder.resolve(), output.resolve()
    if source.is_relative_to(target) or target.is_relative_to(source):
        raise UsageError(f"{output} and {folder} are in each other", hint=OTHER_OUTPUT)


def _digest(folder: Path, options: Mapping[str, Any]) -> str:
    """Return a sha256 of what the output depends on: the options, and the files that are read.

    Shards of an interrupted run are kept only if it is the same.
    """
    seen = [str(options)]
    for name, path in {MANIFEST: folder / MANIFEST, **files_below(folder)}.items():
        try:
            status = path.stat()
        except FileNotFoundError as error:
            raise ModelError(f"{path} no longer exists") from error
        seen.append(f"{name} {status.st_ino} {status.st_size} {status.st_mtime_ns}")
    return hashlib.sha256("\n".join(seen).encode()).hexdigest()
