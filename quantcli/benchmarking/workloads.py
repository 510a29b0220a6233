"""What a model is timed on: prefill and decoding if it writes text, else batches of inputs."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from quantcli.benchmarking.results import Workload
from quantcli.comparison.inputs.synthetic import Synthetic

PREFILL, PROMPT, DECODED = 256, 32, 16
"""Tokens: of the text that is read at once, of the prompt, and that are written after it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A workload with what runs it once."""

    workload: Workload
    run: Callable[[], Any]


def tasks_of(model: Any, *, seed: int, batches: Sequence[int]) -> list[Task]:
    """Return the workloads of a model, with random inputs. Raises `ModelError` for one without."""
    config = model.config.to_dict()
    if _writes_text(model):
        return _writing(model, seed)
    found = Synthetic(config, seed=seed).inputs(type(model))
    text = {name: value.shape[1] for name, value in found.items() if name == "input_ids"}
    more = f" x {next(iter(text.values()))} tokens" if text else ""
    return [
        Task(
            workload=Workload(name=f"batch {n}{more}", batch=n, items=n, item="sample"),
            run=_forward(model, {name: _repeated(value, n) for name, value in found.items()}),
        )
        for n in batches
    ]


def _writes_text(model: Any) -> bool:
    names = inspect.signature(model.forward).parameters
    decoder = not getattr(model.config, "is_encoder_decoder", False)
    own = getattr(model, "can_generate", lambda: False)()
    return bool(own and decoder and {"input_ids", "past_key_values"} <= names.keys())


def _writing(model: Any, seed: int) -> list[Task]:
    text = model.config.get_text_config()
    room = getattr(text, "max_position_embeddings", None) or PREFILL
    generator = torch.Generator().manual_seed(seed)
    length = min(PREFILL, room)
    ids = torch.randint(0, int(text.vocab_size), (1, length), generator=generator)
    written = min(DECODED, max(1, room // 2))
    prompt = ids[:, : min(PROMPT, max(1, room - written))]
    return [
        Task(
            workload=Workload(
                name=f"prefill, {length} tokens", batch=1, items=length, item="token"
            ),
            run=_forward(model, {"input_ids": ids, "use_cache": True}),
        ),
        Task(
            workload=Workload(
                name=f"decode, {written} tokens", batch=1, items=written, item="token"
            ),
            run=_Decoding(model, prompt, written),
        ),
    ]


def _forward(model: Any, inputs: dict[str, Any]) -> Callable[[], Any]:
    return lambda: model(**inputs)


class _Decoding:
    """Writes tokens one by one. The prompt is read again before each run, outside the time."""

    def __init__(self, model: Any, prompt: torch.Tensor, count: int) -> None:
        self._model, self._prompt, self._count = model, prompt, count
        self._last: Any = None

    def prepare(self) -> None:
        self._last = self._model(input_ids=self._prompt, use_cache=True)

    def __call__(self) -> None:
        last = self._last
        for _ in range(self._count):
            token = last.logits[:, -1:].argmax(dim=-1)
            last = self._model(
                input_ids=token, past_key_values=last.past_key_values, use_cache=True
            )


def prepare(task: Task) -> None:
    """Do what comes before a run and is not timed."""
    if isinstance(task.run, _Decoding):
        task.run.prepare()


def _repeated(value: Any, count: int) -> Any:
    if not isinstance(value, torch.Tensor) or value.dim() == 0:
        return value
    return value.repeat(count, *(1 for _ in value.shape[1:]))
