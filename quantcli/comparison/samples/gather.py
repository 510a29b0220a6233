"""The samples of a task: the user's own, or built-in ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from quantcli.comparison.samples.built_in import BUILT_IN
from quantcli.comparison.samples.given import GivenSample, from_options
from quantcli.comparison.samples.jsonl import read_data
from quantcli.comparison.samples.sample import Item, SampleOptions, Samples
from quantcli.errors import UsageError


def gather(
    options: SampleOptions,
    *,
    needs: Sequence[str],
    limits: Mapping[str, int],
    lacking: Mapping[str, str] | None = None,
    captions: bool = False,
    passages: bool = False,
) -> Samples:
    """Return the samples of each kind that a task needs: "text", "image", "audio".

    Uses the user's own samples of a kind if there are any, else up to `limits` built-in ones.
    `lacking` maps a kind to what the model lacks to prepare it; with `captions` the first built-in
    texts describe images. With `passages` the built-in texts for calibrating are all there are, to
    be joined. Reads only files that are used.
    Raises `UsageError` for a file that cannot be read, and for samples of a kind that the task does
    not take or the model cannot prepare; `MachineError` without permission or memory to read one.
    """
    given = from_options(options)
    given += read_data(options.data) if options.data is not None else []
    _check_kinds(given, needs)
    _check_prepared(given, lacking or {})
    found: dict[str, list[Item]] = {}
    for kind in needs:
        own = [sample for sample in given if sample.kind == kind][: options.limit]
        found[kind] = [sample.read() for sample in own]
        if not own:
            joined = passages and kind == "text" and options.purpose == "calibrate"
            make = BUILT_IN[options.purpose]
            built_in = make(
                kind, options.seed, captions=captions or "image" in needs, joined=joined
            )
            found[kind] = built_in[: None if joined else options.limit or limits[kind]]
    return Samples(
        texts=tuple(found.get("text", ())),
        images=tuple(found.get("image", ())),
        audios=tuple(found.get("audio", ())),
        built_in=frozenset(needs) - {sample.kind for sample in given},
    )


def _check_kinds(given: Sequence[GivenSample], needs: Sequence[str]) -> None:
    for sample in given:
        if sample.kind not in needs:
            if not needs:
                raise UsageError(
                    f"{sample.where}: a comparison of outputs takes no samples",
                    hint="leave it out: the inputs are random, made from the config",
                )
            raise UsageError(
                f"{sample.where}: this model takes no {sample.kind}",
                hint=f"it takes {' and '.join(needs)}",
            )


def _check_prepared(given: Sequence[GivenSample], lacking: Mapping[str, str]) -> None:
    for sample in given:
        if sample.kind in lacking:
            option = f"--{sample.kind}"
            by_option = sample.where.startswith(option)
            raise UsageError(
                f"{option if by_option else f'{sample.where}: {sample.kind}'} needs "
                f"{lacking[sample.kind]}",
                hint="add its files to the model's folder, or leave out "
                + (option if by_option else f"the field {sample.kind}"),
            )
