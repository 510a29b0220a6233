"""`quantcli size`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from quantcli.cli import options
from quantcli.cli.terminal.output import print_json, print_table, warn

if TYPE_CHECKING:
    from quantcli.api import Footprint, Prediction

EXAMPLES = """\b
Examples:
  quantcli size google/flan-t5-small
  quantcli size ./my-model -w int8 -w int4 --json
"""


def size(
    model: options.Model = None,
    weights: options.ManyWeights = None,
    embeddings: options.Embeddings = None,
    recipe: options.RecipeName = None,
    revision: options.Revision = None,
    class_name: options.ClassName = None,
    trust_remote_code: options.TrustRemoteCode = False,
    as_json: options.Json = False,
) -> None:
    """Predict the exact size of a model at each weight dtype.

    Reads only the headers and the config: a few hundred kilobytes of a Hub repo, whatever the size
    of the model. For a frozen directory, shows what is in it.
    """
    from quantcli import api
    from quantcli.upstream.versions import version_warnings

    warn(version_warnings())
    footprint = api.size(
        model,
        weights=weights or (),
        embeddings=embeddings,
        recipe=recipe,
        revision=revision,
        class_name=class_name,
        trust_remote_code=trust_remote_code,
    )
    warn(footprint.notices)
    if as_json:
        print_json(to_json(footprint))
    else:
        _show(footprint)


def _show(footprint: Footprint) -> None:
    from quantcli.cli.tables.plans import dtypes_table, size_table

    if len(footprint.original_dtypes) > 1:
        print_table(dtypes_table(footprint))
    print_table(size_table(footprint))


def _prediction(row: Prediction) -> dict[str, Any]:
    totals = {
        "weights": row.weights,
        "bytes": row.bytes,
        "ratio": row.ratio,
        "tensors_quantized": row.tensors_quantized,
        "coverage": row.coverage,
        "with_int8_embeddings": row.with_int8_embeddings,
    }
    return totals | ({"components": [*map(asdict, row.components)]} if row.components else {})


def to_json(footprint: Footprint) -> dict[str, Any]:
    """Return the JSON of a footprint."""
    return {
        "model": footprint.model,
        "revision": footprint.revision,
        "parameters": footprint.parameters,
        "original": {
            "bytes": footprint.original_bytes,
            "dtypes": dict(footprint.original_dtypes),
        },
        "predictions": [_prediction(row) for row in footprint.predictions],
        "frozen": footprint.frozen,
    }
