"""What a model is compared as: by default what its class is for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from quantcli.comparison.sides import Side
from quantcli.errors import ModelError

NEEDS: dict[str, tuple[str, ...]] = {
    "text-embedding": ("text",),
    "image-embedding": ("image",),
    "text-image-embedding": ("text", "image"),
    "causal-lm": ("text",),
    "seq2seq-lm": ("text",),
    "speech-seq2seq": ("audio",),
    "masked-lm": ("text",),
    "text-classification": ("text",),
    "token-classification": ("text",),
    "image-classification": ("image",),
    "outputs": (),
}
"""The kinds of samples that each task takes; none where inputs are made from the config."""

_HEADS = (
    ("text-image-embedding", "MODEL_FOR_ZERO_SHOT_IMAGE_CLASSIFICATION_MAPPING_NAMES"),
    ("speech-seq2seq", "MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING_NAMES"),
    ("seq2seq-lm", "MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES"),
    ("causal-lm", "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES"),
    ("masked-lm", "MODEL_FOR_MASKED_LM_MAPPING_NAMES"),
    ("text-classification", "MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES"),
    ("token-classification", "MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES"),
    ("image-classification", "MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES"),
)
"""Tasks and transformers' own lists of the classes for them; a class in two is for the first."""

_BASES = {"input_ids": "text-embedding", "pixel_values": "image-embedding"}
"""The main input of a model without a head, and what it is then compared as."""


def choose_task(side: Side) -> str:
    """Return the task of a model's class; "outputs" where transformers lists it for none.

    Raises `ModelError` for a class of the repository's own, of which nothing is known.
    """
    from transformers.models.auto import modeling_auto

    for task, mapping in _HEADS:
        if side.architecture in _names(getattr(modeling_auto, mapping)):
            return task
    if side.architecture in _names(modeling_auto.MODEL_MAPPING_NAMES):
        found = model_class(side)
        if not side.config.get("is_encoder_decoder"):
            return _BASES.get(found.main_input_name, "outputs")
    return "outputs"


def model_class(side: Side) -> Any:
    """Return the class of a side, without loading it."""
    import transformers

    found = side.model_class or getattr(transformers, side.architecture, None)
    if found is None:
        raise ModelError(
            f"{side.summary.model}: transformers does not know {side.architecture}",
            hint="say what to compare it as with --task",
        )
    return found


def _names(mapping: Mapping[str, Any]) -> set[str]:
    found: set[str] = set()
    for names in mapping.values():
        found.update(names if isinstance(names, tuple | list) else [str(names)])
    return found
