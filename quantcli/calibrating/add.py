"""Add up calibrations of one model that were made with different samples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from quantcli.calibrating.store import FILE
from quantcli.calibration import COUNTS, MAXIMUM, MOMENT, ROWS, Calibration, Header
from quantcli.calibration.header import is_calibration
from quantcli.calibration.names import stored_name
from quantcli.errors import ModelError
from quantcli.execute.shard import ShardFile
from quantcli.frozen.staging import FileStaging, digest_of
from quantcli.kinds.layout import Stored


def add(calibrations: Sequence[Calibration], output: Path, *, overwrite: bool) -> None:
    """Write the sum of calibrations: moments and counts are added, the largest values kept.

    The order does not matter, up to rounding in float32. Raises `ModelError` if they are not of the
    same model, or have samples in common.
    """
    first = calibrations[0]
    for other in calibrations[1:]:
        _check_same(first, other)
    _check_apart(calibrations)
    owners = _owners(calibrations)
    header = first.header.model_copy(
        update={
            "samples": tuple(each for found in calibrations for each in found.header.samples),
            "weights": owners,
        }
    )
    stored = [*_stored(first, owners)]
    staging = FileStaging(
        output,
        digest=digest_of("add", {str(found.path): found.path for found in calibrations}),
        needed=sum(tensor.nbytes for tensor in stored),
        overwrite=overwrite,
        is_ours=is_calibration,
    )
    with staging:
        _write(calibrations, header, stored, staging.folder / FILE)
        staging.commit_file(FILE)


def _write(
    calibrations: Sequence[Calibration], header: Header, stored: Sequence[Stored], path: Path
) -> None:
    shard = ShardFile(path, stored, header.metadata())
    try:
        for tensor in stored:
            name, _, what = tensor.name.rpartition(".")
            for start, total in _sums(calibrations, name, what):
                shard.write(tensor.name, start, total)
    except BaseException:
        shard.abandon()
        raise
    shard.finish()


def _sums(
    calibrations: Sequence[Calibration], weight: str, what: str
) -> Iterator[tuple[int, torch.Tensor]]:
    """Yield (start, values) of the sum of one tensor, a matrix at a time."""
    found = [each.tensor(weight, what) for each in calibrations]
    parts = zip(*found, strict=True) if what == MOMENT else [found]
    start = 0
    for part in parts:
        stacked = [*part]
        total = stacked[0].clone()
        for other in stacked[1:]:
            total = torch.maximum(total, other) if what == MAXIMUM else total + other
        yield start, total
        start += total.numel()


def _owners(calibrations: Sequence[Calibration]) -> dict[str, str]:
    """Return under whose name each weight is stored: two share where they do in all files."""
    first: dict[tuple[str, ...], str] = {}
    owners = {}
    for weight in calibrations[0].header.weights:
        stored = tuple(each.header.weights[weight] for each in calibrations)
        owners[weight] = first.setdefault(stored, weight)
    return owners


def _stored(calibration: Calibration, owners: dict[str, str]) -> Iterator[Stored]:
    for weight in dict.fromkeys(owners.values()):
        for what in (MOMENT, MAXIMUM, ROWS, COUNTS):
            record = calibration.record(weight, what)
            if record is not None:
                name = stored_name(weight, what)
                yield Stored(name=name, dtype=record.dtype, shape=record.shape)


def _check_same(one: Calibration, other: Calibration) -> None:
    a, b = one.header, other.header
    if a.fingerprint != b.fingerprint:
        problem = f"{a.origin} and {b.origin}" if a.origin != b.origin else "two versions of it"
        raise ModelError(
            f"{one.path} and {other.path} are of different models: {problem}",
            hint="add up calibrations of one model",
        )
    if a.task != b.task or a.weights.keys() != b.weights.keys():
        raise ModelError(
            f"{one.path} and {other.path} do not fit: {a.task} and {b.task}, "
            f"{len(a.weights)} and {len(b.weights)} weights",
            hint="calibrate both with the same --task, and the same version of quantcli",
        )


def _check_apart(calibrations: Sequence[Calibration]) -> None:
    seen: dict[str, Path] = {}
    for calibration in calibrations:
        for samples in calibration.header.samples:
            if samples.hash in seen:
                raise ModelError(
                    f"{seen[samples.hash]} and {calibration.path} have the same samples",
                    hint="calibrate with other samples: --data, or another --seed",
                )
            seen[samples.hash] = calibration.path
