"""What reads and writes the weights of a frozen directory: dequantize, and inspect --against."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmark.experiments import PARTS, QUANTCLI, Setting, command
from benchmark.runner import Experiment, Figures, Row, Side, timed

SYNCED = 'cp "$0" "$1" && sync "$1"'
"""A copy that is on the disk, as what quantcli writes is."""


def frozen(setting: Setting) -> Path:
    """Quantize CLIP-L to int8, beside the other models; it goes when the experiment is over."""
    home = setting.opened.enter_context(TemporaryDirectory(dir=setting.cache))
    target = Path(home) / "int8"
    timed([QUANTCLI, "quantize", setting.clip(), "-o", target, "--quiet"])
    return target


def copy_synced(source: Path, pause: float) -> Side:
    """Copy to the disk, after as long a pause as quantcli takes to start."""
    copy = command("sh", "-c", SYNCED, source, "OUTPUT")

    def side(output: Path) -> Figures:
        time.sleep(pause)
        return copy(output)

    return side


def against_copy(
    setting: Setting, what: str, action: str, measure: Callable[[Path, Path], Figures], bar: float
) -> Experiment:
    """Compare seconds with a copy of the original, and hold the peak memory to 600 MB.

    `measure` is given the frozen directory and the path to write to.
    """
    source, original = frozen(setting), setting.clip() / "model.safetensors"
    copy = copy_synced(original, setting.pause)
    return Experiment(
        sides={"quantcli": lambda output: measure(source, output), "cp": copy},
        reads=[source / "model.safetensors", original],
        rows=[
            Row(
                what=f"{what}, {action} / `cp` of the original, and `sync`",
                bar=bar,
                ours=("quantcli", "seconds"),
                theirs=("cp", "seconds"),
            ),
            Row(what=f"{what}: peak memory", bar=600e6, ours=("quantcli", "peak"), unit="bytes"),
        ],
    )


def dequantize(setting: Setting) -> Experiment:
    def measure(source: Path, output: Path) -> Figures:
        words = [QUANTCLI, "dequantize", source, "-o", output, "--json", "--quiet"]
        report = json.loads(timed(words)[1])
        return {"seconds": report["seconds"], "peak": report["peak_rss_bytes"]}

    return against_copy(setting, "CLIP-L int8: `dequantize`", "writing", measure, bar=1.5)


def inspect(setting: Setting) -> Experiment:
    def measure(source: Path, _: Path) -> Figures:
        words = [sys.executable, PARTS / "inspect_frozen.py", source, setting.clip()]
        return json.loads(timed(words)[1])

    what = "CLIP-L int8: `inspect` against the original"
    return against_copy(setting, what, "imports apart", measure, bar=2.0)
