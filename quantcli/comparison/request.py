"""What the user asks to compare: one object from the command line to the run."""

from __future__ import annotations

from dataclasses import dataclass, field

from quantcli.comparison.gates import Requirements
from quantcli.comparison.samples import SampleOptions

MAX_TOKENS = 32
"""Tokens that a model generates after each prompt, unless asked otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareRequest:
    """Two models, the samples to run them on, and what the result must meet.

    `task` is None to choose it by the architecture. `revision` is that of the original. Without
    `generate`, no text is generated. `kernels` and `activations` are those of `load`, for frozen
    directories. `show_downloads` lets huggingface_hub print its progress.
    """

    original: str
    quantized: str
    task: str | None = None
    samples: SampleOptions = field(default_factory=SampleOptions)
    max_tokens: int = MAX_TOKENS
    generate: bool = True
    requirements: Requirements = field(default_factory=Requirements)
    device: str = "cpu"
    kernels: str | None = None
    activations: str | None = None
    revision: str | None = None
    trust_remote_code: bool = False
    show_downloads: bool = False
