"""How fast other tools run the same model: `python other_speeds.py LLM GGUF ENCODER`.

Each way is a process of its own, and they take turns. Install the tools in an environment of its
own, as they want other versions of transformers than quantcli, and name the Python that has it:

    pip install torch transformers torchao onnx onnxscript onnxruntime llama-cpp-python
    python other_speeds.py SMOLLM2 SMOLLM2.gguf MINILM --quantcli .venv/bin/python
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

PREFILL, PROMPT, DECODED = 256, 32, 16
BATCHES, TOKENS = (1, 24), 27
RUNS = 7

Timed = dict[str, float]


def language_model(model: Any) -> Timed:
    """Time a model of transformers: the prefill, and the tokens written."""
    import torch

    ids = torch.randint(0, model.config.vocab_size, (1, PREFILL))
    last: Any = None

    def prompt() -> None:
        nonlocal last
        last = model(ids[:, :PROMPT], use_cache=True)

    def decode() -> None:
        nonlocal last
        for _ in range(DECODED):
            token = last.logits[:, -1:].argmax(dim=-1)
            last = model(token, past_key_values=last.past_key_values, use_cache=True)

    with torch.inference_mode():
        return {
            "prefill": median(lambda: model(ids, use_cache=True)),
            "token": median(decode, prompt) / DECODED,
        }


def encoder(run: Callable[..., Any]) -> Timed:
    """Time what takes ids and a mask, both as arrays of numpy or tensors."""
    import torch

    found = {}
    for size in BATCHES:
        ids = torch.randint(1000, 20000, (size, TOKENS))
        mask = torch.ones_like(ids)
        with torch.inference_mode():
            found[f"batch {size}"] = median(lambda ids=ids, mask=mask: run(ids, mask))
    return found


def median(run: Callable[[], Any], prepare: Callable[[], Any] = lambda: None) -> float:
    """Return the median of the seconds of some runs, after one that is not timed."""
    found = []
    for _ in range(RUNS + 1):
        prepare()
        began = time.perf_counter()
        run()
        found.append(time.perf_counter() - began)
    return statistics.median(found[1:])


def causal(folder: str) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, dtype="auto").eval()


def bert(folder: str) -> Any:
    from transformers import AutoModel

    return AutoModel.from_pretrained(folder).eval()


def called(model: Any) -> Callable[..., Any]:
    return lambda ids, mask: model(input_ids=ids, attention_mask=mask)


def torchao(model: Any, name: str, *, compiled: bool = False) -> Any:
    """Quantize a model with torchao, in memory."""
    import torch
    from torchao import quantization

    if name == "int4":
        from torchao.prototype.quantization.int4 import PrototypeInt4WeightOnlyConfig

        config = PrototypeInt4WeightOnlyConfig(group_size=32)
    else:
        config = getattr(quantization, name)()
    quantization.quantize_(model, config)
    return torch.compile(model) if compiled else model


def llama_cpp(file: str) -> Timed:
    """Time llama.cpp on a GGUF file."""
    import random

    from llama_cpp import Llama

    model = Llama(file, n_threads=2, n_threads_batch=2, n_ctx=512, n_batch=PREFILL, verbose=False)
    ids = [random.randrange(model.n_vocab()) for _ in range(PREFILL)]

    def restart(count: int) -> None:
        model.reset()
        model.eval(ids[:count])

    def decode() -> None:
        for index in range(DECODED):
            model.eval([ids[index]])

    return {
        "prefill": median(lambda: restart(PREFILL)),
        "token": median(decode, lambda: restart(PROMPT)) / DECODED,
    }


def onnxruntime(folder: str) -> Timed:
    """Export an encoder, quantize it with dynamic activations, and time it."""
    import onnxruntime as ort
    import torch
    from onnxruntime.quantization import QuantType, quantize_dynamic

    class Hidden(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = bert(folder)

        def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            return self.model(input_ids=ids, attention_mask=mask).last_hidden_state

    with tempfile.TemporaryDirectory() as made:
        plain, quantized = f"{made}/plain.onnx", f"{made}/int8.onnx"
        ids = torch.ones(2, TOKENS, dtype=torch.int64)
        dim = torch.export.Dim
        shapes = {0: dim("batch"), 1: dim("tokens")}
        torch.onnx.export(
            Hidden(),
            (ids, ids),
            plain,
            input_names=["ids", "mask"],
            dynamic_shapes={"ids": shapes, "mask": shapes},
            dynamo=True,
        )
        quantize_dynamic(plain, quantized, weight_type=QuantType.QInt8)
        options = ort.SessionOptions()
        options.intra_op_num_threads = 2
        session = ort.InferenceSession(quantized, options, providers=["CPUExecutionProvider"])
        return encoder(
            lambda ids, mask: session.run(None, {"ids": ids.numpy(), "mask": mask.numpy()})
        )


def quantcli(folder: str, weights: str, **runtime: str) -> Any:
    """Freeze a model in a process of its own, and load it."""
    import quantcli as own

    with tempfile.TemporaryDirectory() as made:
        command = [sys.executable, "-m", "quantcli", "quantize", folder, "-w", weights, "-q"]
        subprocess.run([*command, "-o", f"{made}/q"], check=True, stdout=subprocess.DEVNULL)
        return own.load(f"{made}/q", **runtime)


LANGUAGE: dict[str, Callable[[str], Timed]] = {
    "transformers, bfloat16": lambda f: language_model(causal(f)),
    "quantcli int8": lambda f: language_model(quantcli(f, "int8")),
    "quantcli int4": lambda f: language_model(quantcli(f, "int4")),
    "Quanto int8": lambda f: language_model(quantcli(f, "int8", kernels="quanto")),
    "Quanto int4": lambda f: language_model(quantcli(f, "int4", kernels="quanto")),
    "torchao int8, weights alone": lambda f: language_model(
        torchao(causal(f), "Int8WeightOnlyConfig")
    ),
    "torchao int4, groups of 32": lambda f: language_model(torchao(causal(f), "int4")),
    "llama.cpp, GGUF Q4_1": llama_cpp,
}
"""The ways to run a language model."""

ENCODERS: dict[str, Callable[[str], Timed]] = {
    "transformers, float32": lambda f: encoder(called(bert(f))),
    "quantcli int8, exact inputs": lambda f: encoder(called(quantcli(f, "int8"))),
    "quantcli int8, int8 inputs": lambda f: encoder(
        called(quantcli(f, "int8", activations="int8"))
    ),
    "torchao dynamic int8": lambda f: encoder(
        called(torchao(bert(f), "Int8DynamicActivationInt8WeightConfig"))
    ),
    "torchao dynamic int8, compiled": lambda f: encoder(
        called(torchao(bert(f), "Int8DynamicActivationInt8WeightConfig", compiled=True))
    ),
    "ONNX Runtime dynamic int8": onnxruntime,
}
"""The ways to run an encoder."""

OURS = ("quantcli", "Quanto")
"""How the names of those start that need quantcli."""


def ways(asked: argparse.Namespace) -> Iterator[tuple[str, list[str]]]:
    """Yield each way with the command that times it."""
    for table, folder in ((LANGUAGE, asked.llm), (ENCODERS, asked.encoder)):
        for name in table:
            python = asked.quantcli if name.startswith(OURS) else sys.executable
            file = asked.gguf if name.startswith("llama.cpp") else folder
            yield name, [python, __file__, "--only", name, file]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("llm", nargs="?")
    parser.add_argument("gguf", nargs="?")
    parser.add_argument("encoder", nargs="?")
    parser.add_argument("--quantcli", default=sys.executable)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs=2)
    asked = parser.parse_args()
    if asked.only:
        name, folder = asked.only
        sys.stdout.write(json.dumps((LANGUAGE | ENCODERS)[name](folder)))
        return
    found: dict[str, list[Timed]] = {}
    for _ in range(asked.rounds):
        for name, command in ways(asked):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                reason = done.stderr.strip().splitlines()[-1:]
                print(f"{name}: {reason}", file=sys.stderr)
                continue
            found.setdefault(name, []).append(json.loads(done.stdout.splitlines()[-1]))
    for name, times in found.items():
        cells = {key: statistics.median(each[key] for each in times) for key in times[0]}
        print(name, {key: f"{1000 * value:.2f} ms" for key, value in cells.items()})


if __name__ == "__main__":
    main()
