"""What the manifest of a frozen directory says of each tensor, checked before it is used."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from quantcli.dtypes import SIZES
from quantcli.errors import ModelError
from quantcli.formats import QTYPES
from quantcli.mark import MANIFEST

HINT = "quantize the original again"

Shape = list[Annotated[int, Field(ge=0)]]

OWNER = "same tensor as "
"""How the reason of an alias begins; older manifests name its owner nowhere else."""


class Listed(BaseModel):
    """One entry of `tensors` in a manifest. Unknown keys, which a newer one may add, are ignored.

    Directories of older versions have no `quantized_shape` and no `sources`.
    """

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)

    name: str = Field(min_length=1)
    action: Literal["quantize", "cast", "keep", "alias", "compute"]
    reason: str = ""
    qtype: str | None
    group_size: Annotated[int, Field(ge=1)] | None
    dtype: str
    shape: Shape
    quantized_shape: Shape | None = None
    transposed: bool = False
    alias_of: str | None = None
    sources: dict[str, Shape] | None = None
    conversion: str | None = None

    @property
    def owner(self) -> str | None:
        """The entry that an alias is stored as; None for any other entry."""
        if self.action != "alias":
            return None
        return self.alias_of or self.reason.removeprefix(OWNER)

    @property
    def is_sound(self) -> bool:
        """Whether the values agree with each other."""
        known = self.qtype is None or self.qtype in QTYPES
        return (
            known
            and self.dtype in SIZES
            and (self.qtype is not None) == (self.action == "quantize")
        )


_LISTS = TypeAdapter(list[Listed])


def read_listed(manifest: Mapping[str, Any], folder: Path) -> list[Listed]:
    """Return the entries that a manifest lists.

    Raises `ModelError` if they are damaged, or if it is the manifest of a pipeline.
    """
    path = folder / MANIFEST
    if "tensors" not in manifest and "components" in manifest:
        names = [str(each.get("name")) for each in manifest["components"]]
        raise ModelError(
            f"{folder} is a frozen pipeline, not one model",
            hint=f"give one of its components: {folder / names[0] if names else folder}",
        )
    try:
        listed = _LISTS.validate_python(manifest.get("tensors"))
    except ValidationError as error:
        where = ".".join(map(str, ("tensors", *error.errors(include_url=False)[0]["loc"])))
        raise ModelError(f"{path} is damaged: {where}", hint=HINT) from error
    names = [each.name for each in listed]
    if len({*names}) < len(names) or not all(each.is_sound for each in listed):
        raise ModelError(f"{path} is damaged", hint=HINT)
    return listed
