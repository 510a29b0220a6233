"""What a model is compared as: by default what its class is for."""

from __future__ import annotations

import inspect
from dataclasses import fields, is_dataclass
from typing import Any, get_args

from quantcli.comparison.engine.sides import Side
from quantcli.comparison.inputs.synthetic import SCENES, SOUNDS, forward_names
from quantcli.errors import ModelError
from quantcli.upstream.transformers import classes_with_head, classes_without_head

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
    ("text-image-embedding", "ZERO_SHOT_IMAGE_CLASSIFICATION"),
    ("image-text-to-text", "IMAGE_TEXT_TO_TEXT"),
    ("audio-text-to-text", "MULTIMODAL_LM"),
    ("speech-ctc", "CTC"),
    ("speech-seq2seq", "SPEECH_SEQ_2_SEQ"),
    ("seq2seq-lm", "SEQ_TO_SEQ_CAUSAL_LM"),
    ("causal-lm", "CAUSAL_LM"),
    ("masked-lm", "MASKED_LM"),
    ("text-classification", "SEQUENCE_CLASSIFICATION"),
    ("token-classification", "TOKEN_CLASSIFICATION"),
    ("image-classification", "IMAGE_CLASSIFICATION"),
)
"""Tasks and the heads of the classes for them; a class in two lists is for the first."""

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
    names = forward_names(model_class(side))
    for task, head in _HEADS:
        listed = side.architecture in classes_with_head(head)
        if listed and names.intersection(_TAKES.get(task, names)):
            return task
    if side.architecture in classes_without_head():
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
