"""Mixtures of experts and modules that Quanto lacks: how fast they are written, and run."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from benchmark.experiments import PARTS, Setting, cp_cold, cp_warm, plan_warm, quantize
from benchmark.models import model
from benchmark.runner import Experiment, Figures, Row, timed

if TYPE_CHECKING:
    from pathlib import Path

MERGED = 8 * 2 * 7168 * 2048 * 2
"""Bytes of the largest parameter that transformers merges, of the model `mixtral-4gb`."""


def mixtral(setting: Setting) -> Experiment:
    """Quantize experts that are stored one by one, which transformers merges."""
    source = model("mixtral-tiny" if setting.tiny else "mixtral-4gb", setting.cache)
    what = "4 GB of Mixtral's layout, int8"
    return Experiment(
        sides={
            "quantcli": quantize(source, "int8"),
            "cp": cp_cold(source, setting.pause),
            "plan, warm": plan_warm(source, "int8"),
            "cp, warm": cp_warm(source),
        },
        reads=sorted(source.glob("*.safetensors")),
        rows=[
            Row(
                what=f"{what}: running the plan / `cp -r` of the source",
                bar=1 / 0.6,
                ours=("quantcli", "plan"),
                theirs=("cp", "seconds"),
            ),
            Row(
                what=f"{what}: the same, into memory just used",
                bar=1 / 0.6,
                ours=("plan, warm", "seconds"),
                theirs=("cp, warm", "seconds"),
            ),
            Row(
                what=f"{what}: peak resident memory",
                bar=MERGED + 600e6,
                ours=("quantcli", "peak"),
                unit="bytes",
            ),
        ],
    )


def modules(setting: Setting) -> Experiment:
    """Run frozen modules, and Quanto's linear layers of the same shapes."""
    words = [sys.executable, PARTS / "run_modules.py", *(["tiny"] if setting.tiny else [])]

    def side(_: Path) -> Figures:
        return json.loads(timed(words)[1])

    pairs = [("experts {}", "QLinear experts {}"), ("Conv1D {}", "QLinear {}")]
    return Experiment(
        sides={"modules": side},
        rows=[
            Row(
                what=f"bfloat16, int8, {tokens} tokens: {ours.format('')}/ the same with QLinear",
                bar=1.0,
                ours=("modules", ours.format(tokens)),
                theirs=("modules", theirs.format(tokens)),
            )
            for tokens in (1, 64)
            for ours, theirs in pairs
        ],
    )
