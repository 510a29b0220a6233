"""The samples of a task: the user's own, or built-in ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from quantcli.comparison.samples.asked import Asked, asked_by_options
from quantcli.comparison.samples.jsonl import read_data
from quantcli.comparison.samples.sample import Item, SampleOptions, Samples
from quantcli.errors import UsageError


def gather(
    options: SampleOptions,
    *,
    needs: Sequence[str],
    limits: Mapping[str, int],
    lacking: Mapping[str, str] | None = None,
) -> Samples:
    """Return the samples of each kind that a task needs, of "text", "image" and "audio".

    Of each kind the user's own are taken if there are any, else at most `limits` built-in ones.
    `lacking` says of kinds what they need to be prepared, where that is not there. No file is read
    that is not used. Raises `UsageError` for what cannot be read, and for kinds that the task does
    not take or that nothing prepares; `MachineError` where permission or memory is missing.
    """
    if options.samples is not None and options.samples < 1:
        raise UsageError(f"--samples must be 1 or more, not {options.samples}")
    asked = asked_by_options(options)
    asked += read_data(options.data) if options.data is not None else []
    _check_kinds(asked, needs)
    _check_prepared(asked, lacking or {})
    found: dict[str, list[Item]] = {}
    for kind in needs:
        own = [sample for sample in asked if sample.kind == kind][: options.samples]
        found[kind] = [sample.read() for sample in own]
        if not own:
            built_in = _built_in(kind, options.seed, with_captions="image" in needs)
            found[kind] = built_in[: options.samples or limits[kind]]
    return Samples(
        texts=tuple(found.get("text", ())),
        images=tuple(found.get("image", ())),
        audios=tuple(found.get("audio", ())),
        given=bool(asked),
        built_in=frozenset(needs) - {sample.kind for sample in asked},
    )


def _check_kinds(asked: Sequence[Asked], needs: Sequence[str]) -> None:
    for sample in asked:
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


def _check_prepared(asked: Sequence[Asked], lacking: Mapping[str, str]) -> None:
    for sample in asked:
        if sample.kind in lacking:
            option = f"--{sample.kind}"
            by_option = sample.where.startswith(option)
            raise UsageError(
                f"{option if by_option else f'{sample.where}: {sample.kind}'} needs "
                f"{lacking[sample.kind]}",
                hint="add its files to the model's folder, or leave out "
                + (option if by_option else f"the field {sample.kind}"),
            )


def _built_in(kind: str, seed: int, *, with_captions: bool) -> list[Item]:
    if kind == "image":
        from quantcli.comparison.samples.images import built_in_images

        return [Item(name=caption, value=image) for caption, image in built_in_images(seed)]
    if kind == "audio":
        from quantcli.comparison.samples.audio import built_in_audio

        return [Item(name=name, value=wave) for name, wave in built_in_audio(seed)]
    from quantcli.comparison.samples.images import captions
    from quantcli.comparison.samples.texts import TEXTS

    texts = [*captions(), *TEXTS] if with_captions else [*TEXTS]
    return [Item(name=f"built-in text {i}", value=text) for i, text in enumerate(texts, start=1)]
