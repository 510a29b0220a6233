"""What other tools make of the same model, on the same passages: `python other_tools.py MODEL`.

Each tool that is installed quantizes the weights of the linear layers to int4, the head and the
embedding aside, and puts the rounded values back, so that all are measured by the same code. With
`--also NAME=FOLDER` plain checkpoints are measured too, such as `quantcli dequantize` writes. Run
it in an environment of its own: the tools want other versions of transformers than quantcli.

    pip install torch transformers hqq llmcompressor
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoTokenizer
from transformers.utils.logging import disable_progress_bar

sys.path.insert(0, str(Path(__file__).parents[1]))
import texts

CALIBRATION = 64
"""Passages to calibrate with, of `texts.LENGTH` tokens."""

MEASURED = 16
"""Passages of each set to measure with."""

Model = Any
Passages = list[torch.Tensor]


def hqq(model: Model, passages: Passages, group: int) -> float:
    """HQQ's own library: no samples, scales and zeros in 16 bits. Returns bits per weight."""
    from hqq.core.quantize import Quantizer

    del passages
    for _, module in linears(model):
        options = {"nbits": 4, "group_size": group, "axis": 1, "round_zero": False}
        codes, meta = Quantizer.quantize(
            module.weight.data.float(), **options, optimize=True, device="cpu", bitpack=False
        )
        module.weight.data.copy_(Quantizer.dequantize(codes, meta).reshape(module.weight.shape))
    return 4 + 32 / group


def llmcompressor(model: Model, passages: Passages, group: int) -> float:
    """GPTQ of llm-compressor: a scale in 16 bits and a zero in 4 for a group."""
    from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
    from datasets import Dataset
    from llmcompressor import oneshot
    from llmcompressor.modifiers.quantization import GPTQModifier

    options = {"num_bits": 4, "type": "int", "symmetric": False, "strategy": "group"}
    args = QuantizationArgs(**options, group_size=group)
    scheme = QuantizationScheme(targets=["Linear"], weights=args)
    rows = [{"input_ids": p[0].tolist(), "attention_mask": [1] * p.shape[1]} for p in passages]
    oneshot(
        model=model,
        dataset=Dataset.from_list(rows),
        recipe=GPTQModifier(config_groups={"group_0": scheme}, ignore=["lm_head"]),
        max_seq_length=texts.LENGTH,
        num_calibration_samples=len(rows),
    )
    return 4 + 20 / group


TOOLS: dict[str, tuple[str, Callable[[Model, Passages, int], float]]] = {
    "HQQ": ("hqq", hqq),
    "GPTQ of llm-compressor": ("llmcompressor", llmcompressor),
}
"""Each tool, with the package that it needs."""


def main() -> None:
    options = parse()
    disable_progress_bar()
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    calibration = texts.passages(tokenizer, texts.topics(), CALIBRATION)
    both = (texts.looked_at(), texts.held_out())
    sets = [texts.passages(tokenizer, text, MEASURED) for text in both]
    original = load(options.model)
    references = [outputs(original, passages) for passages in sets]
    for name, (package, quantize) in TOOLS.items():
        if not importlib.util.find_spec(package) or options.tools not in ("", package):
            continue
        version = importlib.metadata.version(package.replace("_", "-"))
        for group in options.groups:
            model, began = load(options.model), time.perf_counter()
            bits = quantize(model, calibration, group)
            took = time.perf_counter() - began
            label = {"tool": f"{name} {version}", "group": group, "bits": bits, "seconds": took}
            report(label, model, sets, references)
    for name, folder in options.also:
        report({"tool": name}, load(folder), sets, references)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("model")
    parser.add_argument("--tools", default="", choices=("", *(p for p, _ in TOOLS.values())))
    parser.add_argument("--groups", type=int, nargs="*", default=[64, 96])
    parser.add_argument("--also", type=lambda text: text.split("="), nargs="*", default=[])
    return parser.parse_args()


def load(folder: str) -> Model:
    """Load a language model, or an encoder."""
    kinds = {True: AutoModelForCausalLM, False: AutoModel}
    (name,) = AutoConfig.from_pretrained(folder).architectures
    return kinds[name.endswith("CausalLM")].from_pretrained(folder, dtype="auto").eval()


def linears(model: Model) -> Iterator[tuple[str, nn.Linear]]:
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear) and "lm_head" not in name:
            yield name, module


@torch.inference_mode()
def outputs(model: Model, passages: Passages) -> list[torch.Tensor]:
    """Return the log-probabilities of each next token, or the mean of an encoder's outputs."""
    found = [model(passage) for passage in passages]
    if "logits" in found[0]:
        return [output.logits[0].float().log_softmax(-1) for output in found]
    return [output.last_hidden_state[0].float().mean(0) for output in found]


def report(
    label: dict[str, Any], model: Model, sets: list[Passages], references: list[Any]
) -> None:
    """Print a line of JSON: what was measured on texts that were looked at, and on others."""
    for name, passages, reference in zip(("looked_at", "held_out"), sets, references, strict=True):
        found = zip(reference, outputs(model, passages), strict=True)
        label[name] = sum(distance(x, y) for x, y in found) / len(passages)
    print(json.dumps(label), flush=True)


def distance(x: torch.Tensor, y: torch.Tensor) -> float:
    """Return KL(x, y) in nats, of one token on average; for vectors, their cosine."""
    if x.dim() == 1:
        return float(torch.cosine_similarity(x, y, dim=0))
    return float((x.exp() * (x - y)).sum(-1).mean())


if __name__ == "__main__":
    main()
