"""The header of a calibration file: which model it is of, and what was seen."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from quantcli.errors import ModelError
from quantcli.files import parse_json
from quantcli.text import first_line

KEY = "quantcli.calibration"
"""The key of safetensors' metadata under which the header stands, as JSON."""

VERSION = 1

_FIRST = 4096
"""Bytes in which the key stands: safetensors' metadata comes first in its header."""

AGAIN = "calibrate again: quantcli calibrate MODEL -o FILE"


class _Part(BaseModel):
    """Unknown keys, which a newer version may add, are ignored."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


class SampleSet(_Part):
    """Samples that were run: their hash, how many they are, and where they come from.

    `max_tokens` is what texts were cut to, and `tokens` how many all of them have.
    """

    hash: str
    count: int = Field(ge=1)
    source: str
    max_tokens: int | None = None
    tokens: int = Field(default=0, ge=0)
    seed: int = 0


class Header(_Part):
    """What a calibration was made from, and whose moments are shared.

    `fingerprint` is that of the checkpoint (see `checkpoint.fingerprint`). `weights` maps each
    weight to the one under whose name its tensors are stored: modules that read the same input
    have one moment. `versions` are those of the packages that ran the model.
    """

    version: int = Field(ge=1)
    model: str
    revision: str | None = None
    fingerprint: str
    architecture: str
    task: str
    samples: tuple[SampleSet, ...] = Field(min_length=1, strict=False)
    weights: dict[str, str]
    versions: dict[str, str] = {}

    def metadata(self) -> dict[str, str]:
        """Return the metadata of the safetensors file."""
        return {KEY: self.model_dump_json()}

    @property
    def origin(self) -> str:
        """The model, with its revision where it has one."""
        return self.model if self.revision is None else f"{self.model}@{self.revision}"


def is_calibration(path: Path) -> bool:
    """Return whether a file is a calibration file, by its first bytes."""
    try:
        with path.open("rb") as file:
            return KEY.encode() in file.read(_FIRST)
    except OSError:
        return False


def parse_metadata(metadata: Mapping[str, Any], *, where: str) -> Header:
    """Return the header in safetensors' metadata; `where` names the file in errors.

    Raises `ModelError` if the file holds none, a damaged one, or one of a newer version.
    """
    if KEY not in metadata:
        raise ModelError(f"{where} is not a calibration file", hint=AGAIN)
    try:
        values = parse_json(str(metadata[KEY]).encode())
        version = values["version"]
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(where, f"its header {first_line(error)}") from error
    if type(version) is int and version > VERSION:
        raise ModelError(
            f"{where} has format version {version}; this quantcli reads versions up to {VERSION}",
            hint="upgrade quantcli",
        )
    try:
        return Header.model_validate(values)
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        path = ".".join(map(str, detail["loc"]))
        raise _damaged(where, f"{path} in its header: {detail['msg']}") from error


def _damaged(where: str, problem: str) -> ModelError:
    return ModelError(f"{where} is damaged: {problem}", hint=AGAIN)
