"""The samples that the user asks for."""

from __future__ import annotations

from quantcli.comparison.samples import SampleOptions
from quantcli.recipe.tables import Sampling


def sample_options(table: Sampling) -> SampleOptions:
    """Return the samples that a table of a recipe asks for."""
    return SampleOptions(
        text=table.text,
        image=table.image,
        audio=table.audio,
        data=table.data,
        limit=table.samples,
        seed=table.seed or 0,
    )
