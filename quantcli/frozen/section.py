"""The `quantization_config` of a frozen directory, checked before anything is built from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from quantcli.errors import ModelError
from quantcli.formats import ACTIVATIONS, QTYPES, format_named
from quantcli.mark import SECTION, SECTION_VERSION

COMPLAINTS = {
    "dict_type": "must be an object",
    "extra_forbidden": "is not a known key",
    "greater_than_equal": "must be 1 or more",
    "int_type": "must be a whole number",
    "list_type": "must be a list",
    "missing": "is missing",
    "model_type": "must be an object",
    "string_too_short": "must not be empty",
    "string_type": "must be text",
}
"""The type of pydantic's error -> the message."""

OPTIONAL = (
    "activations",
    "extra",
    "kernels",
    "parameters",
    "runtime_activations",
    "shared",
)
"""Keys that a section has only where it needs them."""

HINT = "copy or download config.json again, or quantize the original again"


class ModuleSection(BaseModel):
    """How the weight of one module, or one parameter, is quantized."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    weights: str
    group_size: int | None = Field(default=None, ge=1)

    @field_validator("weights")
    @classmethod
    def _is_a_qtype(cls, name: str) -> str:
        if name not in QTYPES:
            raise ValueError(f"must be one of {', '.join(QTYPES)}")
        return name


class ActivationsSection(BaseModel):
    """Which modules quantize what they read, and have scales for it.

    `outputs` are those of `modules` whose output is quantized too; `unused` are those that are not
    to quantize anything, because no sample of the calibration reached them.
    """

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)

    qtype: str
    modules: list[str]
    outputs: list[str] = Field(default_factory=list)
    unused: list[str] = Field(default_factory=list)

    @field_validator("qtype")
    @classmethod
    def _is_of_8_bits(cls, name: str) -> str:
        known = [format_named(each).qtype for each in ACTIVATIONS]
        if name not in known:
            raise ValueError(f"must be one of {', '.join(map(str, known))}")
        return name


class ExtraSection(BaseModel):
    """Modules and tensors that only other classes than the frozen one load."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)

    modules: dict[str, ModuleSection] = Field(default_factory=dict)
    parameters: dict[str, ModuleSection] = Field(default_factory=dict)
    shared: dict[str, str] = Field(default_factory=dict)
    tensors: list[str] = Field(default_factory=list)


class Section(BaseModel):
    """The keys of a section. Unknown keys, which a newer quantcli may add, are ignored."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)

    version: int = Field(ge=1)
    weights: str = ""
    architecture: str | None = Field(default=None, min_length=1)
    modules: dict[str, ModuleSection]
    parameters: dict[str, ModuleSection] = Field(default_factory=dict)
    shared: dict[str, str] = Field(default_factory=dict)
    untied: list[str]
    computed: list[str]
    activations: ActivationsSection | None = None
    kernels: str = ""
    runtime_activations: str = ""
    extra: ExtraSection = Field(default_factory=ExtraSection)


def check_section(section: Mapping[str, Any], *, where: str = "config.json") -> dict[str, Any]:
    """Return the checked values of a section; `where` is the name of its file in errors.

    Raises `ModelError` if the section is damaged, or newer than this version can read.
    """
    version = section.get("version")
    if type(version) is int and version > SECTION_VERSION:
        raise ModelError(
            f"{where} has format version {version}; "
            f"this quantcli reads versions up to {SECTION_VERSION}",
            hint="upgrade quantcli",
        )
    try:
        found = Section.model_validate(dict(section))
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        path = ".".join(map(str, (SECTION, *detail["loc"])))
        complaint = COMPLAINTS.get(detail["type"], detail["msg"].removeprefix("Value error, "))
        raise ModelError(f"{where} is damaged: {path} {complaint}", hint=HINT) from error
    return found.model_dump(exclude=_absent(section))


def _absent(section: Mapping[str, Any]) -> dict[str, Any]:
    """Return the optional keys that a section, and the part for other classes, does not have."""
    absent: dict[str, Any] = {key: True for key in OPTIONAL if key not in section}
    extra = section.get("extra", {})
    return {"extra": {key for key in OPTIONAL if key not in extra}} | absent
