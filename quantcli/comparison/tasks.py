"""What models can be compared as: one record per task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from quantcli.comparison.metrics import ALWAYS, Metric
from quantcli.comparison.metrics.catalogue import (
    EMBEDDING,
    IMAGES,
    LABELS,
    LANGUAGE,
    MATCHING,
    OUTPUTS,
    TRANSCRIPTS,
)
from quantcli.comparison.samples import Purpose

IMAGE_INPUTS = ("pixel_values", "flattened_patches")
AUDIO_INPUTS = ("input_features", "input_values")
"""The inputs by which models of transformers take an image or a recording."""

_LIMITS = {"text": 100, "image": 24, "audio": 8}
_SLOW_LIMITS = _LIMITS | {"text": 32}
"""For models that generate a text for every sample."""
_PAIRED_LIMITS = {"text": 16, "image": 16, "audio": 8}
"""For texts that each come with an image or a recording."""
_PIPELINE_LIMITS = {"text": 4}
"""For pipelines, which run a model several times for every sample."""

_CALIBRATION = {"text": 480, "image": 48, "audio": 16}
_PASSAGES = {"text": 64}
"""For models that take long texts, which are cut into passages of equal length."""
_PAIRED_CALIBRATION = {"text": 48, "image": 48, "audio": 16}
_PIPELINE_CALIBRATION = {"text": 16}


@dataclass(frozen=True, eq=False, kw_only=True)
class Task:
    """A task of models, and how they are compared by it."""

    name: str
    metrics: tuple[Metric, ...]
    """Its own metrics; `measured` also has those of every comparison."""
    family: str
    """The class that feeds and observes the models: module of `families`, colon, class."""
    family_args: tuple[str, ...] = ()
    samples: tuple[str, ...] = ()
    """The kinds of samples: "text", "image", "audio". None if inputs are made from the config."""
    limits: Mapping[str, int] = field(default_factory=_LIMITS.copy)
    """Number of built-in samples per kind, unless asked otherwise."""
    calibration: Mapping[str, int] = field(default_factory=_CALIBRATION.copy)
    """The same for calibrating."""
    passages: bool = False
    """Whether the built-in texts for calibrating are joined and cut into passages."""
    synthetic: int = 32
    """Number of random inputs, if a model has no tokenizer or processor."""
    outputs: tuple[str, ...] = ()
    """The outputs that are compared, if they are known before a model runs."""
    head: str = ""
    """The head of the classes that the task is for: one of `upstream.transformers.HEADS`."""
    class_inputs: tuple[str, ...] = ()
    """A class must take one of these inputs: some listed ones take only text."""
    priority: int = 0
    """If several tasks list a class, the highest priority wins, then the order in `TASKS`."""
    base_input: str = ""
    """The main input of models without a head that are compared as this task."""
    text_alone: bool = False
    """Whether the models can also be compared on text alone."""
    pipeline_input: str | None = None
    """What pipelines of the task are called with: "prompt"; "" for nothing, None for models."""

    def limits_for(self, purpose: Purpose) -> Mapping[str, int]:
        """Return the number of built-in samples per kind."""
        return self.limits if purpose == "measure" else self.calibration

    @property
    def measured(self) -> tuple[Metric, ...]:
        """Its metrics and those of every comparison, one per output if the outputs are known."""
        found: list[Metric] = []
        for metric in self.metrics:
            if "*" in metric.name and self.outputs:
                found += [metric.of_output(output) for output in self.outputs]
            else:
                found.append(metric)
        return (*found, *ALWAYS)


_RECORDS = (
    Task(
        name="text-embedding",
        metrics=EMBEDDING,
        family="embeddings:Embedding",
        family_args=("text",),
        samples=("text",),
        outputs=("text",),
        base_input="input_ids",
    ),
    Task(
        name="image-embedding",
        metrics=EMBEDDING,
        family="embeddings:Embedding",
        family_args=("image",),
        samples=("image",),
        outputs=("image",),
        base_input="pixel_values",
    ),
    Task(
        name="text-image-embedding",
        metrics=MATCHING,
        family="embeddings:Embedding",
        family_args=("text", "image"),
        samples=("text", "image"),
        outputs=("text", "image"),
        head="ZERO_SHOT_IMAGE_CLASSIFICATION",
    ),
    Task(
        name="causal-lm",
        metrics=LANGUAGE,
        family="language:CausalLanguage",
        samples=("text",),
        calibration=_PASSAGES,
        passages=True,
        head="CAUSAL_LM",
    ),
    Task(
        name="image-text-to-text",
        metrics=LANGUAGE,
        family="multimodal:Multimodal",
        family_args=("image",),
        samples=("text", "image"),
        limits=_PAIRED_LIMITS,
        calibration=_PAIRED_CALIBRATION,
        synthetic=16,
        head="IMAGE_TEXT_TO_TEXT",
        class_inputs=IMAGE_INPUTS,
        priority=3,
        text_alone=True,
    ),
    Task(
        name="audio-text-to-text",
        metrics=LANGUAGE,
        family="multimodal:Multimodal",
        family_args=("audio",),
        samples=("text", "audio"),
        limits=_PAIRED_LIMITS,
        calibration=_PAIRED_CALIBRATION,
        synthetic=16,
        head="MULTIMODAL_LM",
        class_inputs=AUDIO_INPUTS,
        priority=3,
        text_alone=True,
    ),
    Task(
        name="seq2seq-lm",
        metrics=LANGUAGE,
        family="language:Seq2Seq",
        family_args=("text",),
        samples=("text",),
        limits=_SLOW_LIMITS,
        calibration=_PASSAGES,
        passages=True,
        head="SEQ_TO_SEQ_CAUSAL_LM",
        priority=1,
    ),
    Task(
        name="speech-seq2seq",
        metrics=LANGUAGE,
        family="language:Seq2Seq",
        family_args=("audio",),
        samples=("audio",),
        limits=_SLOW_LIMITS,
        head="SPEECH_SEQ_2_SEQ",
        priority=2,
    ),
    Task(
        name="speech-ctc",
        metrics=TRANSCRIPTS,
        family="transcripts:Transcripts",
        samples=("audio",),
        head="CTC",
    ),
    Task(
        name="masked-lm",
        metrics=LABELS,
        family="labels:Masked",
        samples=("text",),
        head="MASKED_LM",
    ),
    Task(
        name="text-classification",
        metrics=LABELS,
        family="labels:Labels",
        family_args=("text",),
        samples=("text",),
        head="SEQUENCE_CLASSIFICATION",
    ),
    Task(
        name="token-classification",
        metrics=LABELS,
        family="labels:Labels",
        family_args=("text",),
        samples=("text",),
        head="TOKEN_CLASSIFICATION",
    ),
    Task(
        name="image-classification",
        metrics=LABELS,
        family="labels:Labels",
        family_args=("image",),
        samples=("image",),
        head="IMAGE_CLASSIFICATION",
    ),
    Task(
        name="text-to-image",
        metrics=IMAGES,
        family="images:Images",
        family_args=("prompt",),
        samples=("text",),
        limits=_PIPELINE_LIMITS,
        calibration=_PIPELINE_CALIBRATION,
        pipeline_input="prompt",
    ),
    Task(
        name="class-to-image",
        metrics=IMAGES,
        family="images:Images",
        family_args=("class_labels",),
        synthetic=4,
        pipeline_input="class_labels",
    ),
    Task(
        name="noise-to-image",
        metrics=IMAGES,
        family="images:Images",
        family_args=("",),
        synthetic=4,
        pipeline_input="",
    ),
    Task(name="outputs", metrics=OUTPUTS, family="whole:AllOutputs"),
)

TASKS = {task.name: task for task in _RECORDS}
"""Every task by name; "outputs" is for any model."""
