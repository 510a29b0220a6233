"""The samples of a task: the user's own, or built-in ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from quantcli.errors import UsageError
from quantcli.samples.data import Item, SampleOptions, Samples

KINDS = ("text", "image", "audio")


def gather(options: SampleOptions, *, needs: Sequence[str], limits: Mapping[str, int]) -> Samples:
    """Return the samples of each kind that a task needs, of "text", "image" and "audio".

    Of each kind the user's own are taken if there are any, else at most `limits` built-in ones.
    Raises `UsageError` for files that cannot be read, and for kinds that the task does not take.
    """
    if options.samples is not None and options.samples < 1:
        raise UsageError(f"--samples: {options.samples} is not 1 or more")
    own = _own(options)
    _check_kinds(own, needs)
    found = {}
    for kind in needs:
        items = own[kind] or _built_in(kind, options.seed, with_captions="image" in needs)
        limit = options.samples if options.samples is not None else None
        found[kind] = items[: limit or (len(items) if own[kind] else limits[kind])]
    return Samples(
        texts=tuple(found.get("text", ())),
        images=tuple(found.get("image", ())),
        audios=tuple(found.get("audio", ())),
        given=any(own[kind] for kind in needs),
    )


def _own(options: SampleOptions) -> dict[str, list[Item]]:
    from quantcli.samples.files import read_audio, read_image
    from quantcli.samples.jsonl import read_data

    found: dict[str, list[Item]] = {kind: [] for kind in KINDS}
    for number, text in enumerate(options.text, start=1):
        if not text.strip():
            raise UsageError("--text: the text is empty")
        found["text"].append(Item(name=f"--text {number}", value=text))
    found["image"] += [Item(name=path, value=read_image(path)) for path in options.image]
    found["audio"] += [Item(name=path, value=read_audio(path)) for path in options.audio]
    if options.data is not None:
        for kind, items in read_data(options.data).items():
            found[kind] += items
    return found


def _check_kinds(own: Mapping[str, Sequence[Item]], needs: Sequence[str]) -> None:
    for kind in KINDS:
        if own[kind] and kind not in needs:
            takes = " and ".join(needs) or "only inputs made from its config"
            raise UsageError(
                f"{own[kind][0].name}: this model takes no {kind}", hint=f"it takes {takes}"
            )


def _built_in(kind: str, seed: int, *, with_captions: bool) -> list[Item]:
    if kind == "image":
        from quantcli.samples.images import built_in_images

        return [Item(name=caption, value=image) for caption, image in built_in_images(seed)]
    if kind == "audio":
        from quantcli.samples.audio import built_in_audio

        return [Item(name=name, value=wave) for name, wave in built_in_audio(seed)]
    from quantcli.samples.images import captions
    from quantcli.samples.texts import TEXTS

    texts = [*captions(), *TEXTS] if with_captions else [*TEXTS]
    return [Item(name=f"built-in text {i}", value=text) for i, text in enumerate(texts, start=1)]
