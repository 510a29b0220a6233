"""The published experiments: CLIP ViT-L/14 and flan-t5-small in int8, published against measured.

Downloads both models from the Hub (2 GB).
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

QUANTCLI = Path(sys.executable).with_name("quantcli")


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A number that was published, and how a comparison spells it."""

    what: str
    metric: str
    value: float


PUBLISHED = {
    "clip-vit-large-patch14": (
        Published(what="GB before", metric="bytes_original", value=1.71e9),
        Published(what="GB after", metric="bytes_quantized", value=0.54e9),
        Published(what="cosine of the text", metric="cosine_text", value=0.9999),
        Published(what="cosine of the image", metric="cosine_image", value=0.9998),
    ),
    "flan-t5-small": (
        Published(what="GB before", metric="bytes_original", value=0.307e9),
        Published(what="GB after", metric="bytes_quantized", value=0.126e9),
        Published(what="same generated text", metric="generation_match", value=1.0),
    ),
}


def main() -> int:
    codes = [reproduce(name) for name in PUBLISHED]
    return max(codes)


def reproduce(recipe: str) -> int:
    """Quantize, compare and print; returns the exit code of what failed first."""
    print(f"\n== {recipe}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        frozen = Path(folder) / f"{recipe}-int8"
        words = ["quantize", "--recipe", recipe, "-o", str(frozen), "--quiet"]
        made = subprocess.run([QUANTCLI, *words], stdout=subprocess.DEVNULL, check=False)
        if made.returncode:
            return made.returncode
        words = ["compare", "--recipe", recipe, str(frozen), "--json"]
        run = subprocess.run([QUANTCLI, *words], stdout=subprocess.PIPE, text=True, check=False)
    if run.returncode not in (0, 1):
        return run.returncode
    report = json.loads(run.stdout)
    for published in PUBLISHED[recipe]:
        print(line(published, report["metrics"][published.metric]))
    for text in report["generated"]:
        print(f"  {text['prompt']!r}: {text['original']!r} and {text['quantized']!r}")
    for gate in report["gates"]:
        print(f"  {gate['metric']} {gate['operator']} {gate['limit']}: {gate['status']}")
    return run.returncode


def line(published: Published, measured: float) -> str:
    scale, digits = (1e9, 3) if published.metric.startswith("bytes") else (1, 6)
    values = (f"{value / scale:.{digits}f}" for value in (published.value, measured))
    return "  {:<22} published {:>9}  measured {:>9}".format(published.what, *values)


if __name__ == "__main__":
    sys.exit(main())
