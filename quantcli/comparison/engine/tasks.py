"""What a model is compared as: by default what its class is for."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, get_args

from quantcli.comparison.engine.sides import Side
from quantcli.comparison.inputs.synthetic import SCENES, SOUNDS, forward_names
from quantcli.errors import ModelError

NEEDS: dict[str, tuple[str, ...]] = {
    "text-embedding": ("text",),
    "image-embedding": ("image",),
    "text-image-embedding": ("text", "image"),
    "causal-lm": ("text",),
    "image-text-to-text": ("text", "image"),
    "audio-text-to-text": ("text", "audio"),
    "seq2seq-lm": ("text",),
    "speech-seq2seq": ("audio",),
    "speech-ctc": ("audio",),
    "masked-lm": ("text",),
    "text-classification": ("text",),
    "token-classification": ("text",),
    "image-classification": ("image",),
    "outputs": (),
}
"""The kinds of samples that each task takes; none where inputs are made from the config."""

_HEADS = (
    ("text-image-embedding", "MODEL_FOR_ZERO_SHOT_IMAGE_CLASSIFICATION_MAPPING_NAMES"),
    ("image-text-to-text", "MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES"),
    ("audio-text-to-text", "MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES"),
    ("speech-ctc", "MODEL_FOR_CTC_MAPPING_NAMES"),
    ("speech-seq2seq", "MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING_NAMES"),
    ("seq2seq-lm", "MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES"),
    ("causal-lm", "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES"),
    ("masked-lm", "MODEL_FOR_MASKED_LM_MAPPING_NAMES"),
    ("text-classification", "MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES"),
    ("token-classification", "MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES"),
    ("image-classification", "MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES"),
)
"""Tasks and transformers' own lists of the classes for them; a class in two is for the first."""

_TAKES = {"image-text-to-text": SCENES, "audio-text-to-text": SOUNDS}
"""The inputs of which a class has to take one: some in these lists take a text alone."""

_EMBEDDINGS = ("last_hidden_state", "text_embeds", "image_embeds")
"""The outputs from which an embedding comes."""

_BASES = {"input_ids": "text-embedding", "pixel_values": "image-embedding"}
"""The main input of a model without a head, and what it is then compared as."""


def choose_task(side: Side) -> str:
    """Return the task of a model's class; "outputs" where transformers lists it for none.

    Raises `ModelError` for a class of the repository's own, of which nothing is known.
    """
    from transformers.models.auto import modeling_auto

    names = forward_names(model_class(side))
    for task, mapping in _HEADS:
        listed = side.architecture in _names(getattr(modeling_auto, mapping))
        if listed and names.intersection(_TAKES.get(task, names)):
            return task
    if side.architecture in _names(modeling_auto.MODEL_MAPPING_NAMES):
        return _base_task(side)
    return "outputs"


def _base_task(side: Side) -> str:
    """Return what a model without a head is for: an embedding, if it gives one of one input."""
    found = model_class(side)
    several = len(forward_names(found).intersection(("input_ids", *SCENES, *SOUNDS))) > 1
    if several or side.config.get("is_encoder_decoder") or not _embeds(found):
        return "outputs"
    return _BASES.get(found.main_input_name, "outputs")


def _embeds(found: Any) -> bool:
    """Tell whether the output that a class promises can hold an embedding, as far as it does."""
    promised = inspect.signature(found.forward).return_annotation
    kinds = [kind for kind in get_args(promised) or (promised,) if is_dataclass(kind)]
    names = {entry.name for kind in kinds for entry in fields(kind)}
    return not names or any(name.endswith(_EMBEDDINGS) for name in names)


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
