"""Samples that the user gave, before any file of theirs is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from quantcli.comparison.samples.files import read_audio, read_image
from quantcli.comparison.samples.sample import Item, SampleOptions
from quantcli.errors import QuantcliError, UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A text, or the path of an image or a recording, as the user gave it.

    `kind` is one of "text", "image" and "audio", `where` the option or line that holds it.
    """

    kind: str
    name: str
    where: str
    content: str
    target: str | None = None

    def read(self) -> Item:
        """Return the sample. Raises `UsageError` or `MachineError` where its file is bad."""
        return Item(name=self.name, value=self._value(), target=self.target)

    def _value(self) -> Any:
        if self.kind == "text":
            return self.content
        try:
            return read_image(self.content) if self.kind == "image" else read_audio(self.content)
        except QuantcliError as error:
            if self.where.startswith("--"):  # the message names the file, which says enough
                raise
            raise type(error)(f"{self.where}: {error.message}", hint=error.hint) from error


def asked_by_options(options: SampleOptions) -> list[Asked]:
    """Return what --text, --image and --audio name. Raises `UsageError` for an unusable text."""
    texts = [
        Asked(kind="text", name=where, where=where, content=_check_text(text, where))
        for number, text in enumerate(options.text, start=1)
        for where in [f"--text {number}"]
    ]
    files = [
        Asked(kind=kind, name=_printable(path), where=f"--{kind} {path}", content=path)
        for kind, paths in {"image": options.image, "audio": options.audio}.items()
        for path in paths
    ]
    return texts + files


def is_unicode(text: str) -> bool:
    """Tell whether a text can be written as UTF-8, as tokenizers and reports need it."""
    return _printable(text) == text


def _check_text(text: str, where: str) -> str:
    if not text.strip():
        raise UsageError("--text: the text is empty")
    if not is_unicode(text):
        raise UsageError(f"{where}: the text is not UTF-8")
    return text


def _printable(text: str) -> str:
    # a name of a file may hold bytes that are not UTF-8, which Python keeps as lone surrogates
    return text.encode(errors="replace").decode()
