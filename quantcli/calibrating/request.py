"""What the user asks to calibrate: one object from the command line to the run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from quantcli.comparison.samples import SampleOptions

MAX_TOKENS = 256
"""Tokens of each text, unless asked otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrateRequest:
    """A model, samples to run it on, and the file to write.

    `memory` is how many bytes the sums of a pass may take; None for half of what is free.
    """

    model: str
    output: Path
    task: str | None = None
    samples: SampleOptions
    max_tokens: int = MAX_TOKENS
    self_generated: bool = False
    memory: int | None = None
    revision: str | None = None
    trust_remote_code: bool = False
    show_downloads: bool = False
    overwrite: bool = False
    class_name: str | None = None
