"""Samples that the user gave, before their files are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from quantcli.comparison.samples.files import read_audio, read_image
from quantcli.comparison.samples.sample import Item, SampleOptions
from quantcli.errors import QuantcliError, UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenSample:
    """A text, or the path of an image or a recording.

    `kind` is "text", "image" or "audio"; `where` is the option or the line that it comes from.
    """

    kind: str
    name: str
    where: str
    content: str
    target: str | None = None

    def read(self) -> Item:
        """Return the sample. Raises `UsageError` or `MachineError` if its file cannot be read."""
        return Item(name=self.name, value=self._value(), target=self.target)

    def _value(self) -> Any:
        if self.kind == "text":
            return self.content
        try:
            return read_image(self.content) if self.kind == "image" else read_audio(self.content)
        except QuantcliError as error:
            if self.where.startswith("--"):  # the message already names the file
                raise
            raise type(error)(f"{self.where}: {error.message}", hint=error.hint) from error


def from_options(options: SampleOptions) -> list[GivenSample]:
    """Return the samples of --text, --image and --audio. Raises `UsageError` for a bad text."""
    texts = [
        GivenSample(kind="text", name=where, where=where, content=_check_text(text))
        for number, text in enumerate(options.text, start=1)
        for where in [f"--text {number}"]
    ]
    files = [
        GivenSample(kind=kind, name=_printable(path), where=f"--{kind} {path}", content=path)
        for kind, paths in {"image": options.image, "audio": options.audio}.items()
        for path in paths
    ]
    return texts + files


def is_unicode(text: str) -> bool:
    """Return whether a text can be encoded as UTF-8, as tokenizers and reports require."""
    return _printable(text) == text


def _check_text(text: str) -> str:
    if not text.strip():
        raise UsageError("--text: the text is empty")
    return text


def _printable(text: str) -> str:
    # Python keeps bytes of a file name that are not UTF-8 as lone surrogates
    return text.encode(errors="replace").decode()
