"""The training loop that the models share, and how they are saved."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    import torch
    from transformers import PreTrainedModel


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch and hold it to one thread, so that a machine's cores do not change the weights."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(threads)


def fit(
    model: PreTrainedModel,
    batch: Callable[[], dict[str, torch.Tensor]],
    *,
    steps: int,
    rate: float,
    rates: Mapping[str, float] | None = None,
) -> None:
    """Train a model on its own loss: `batch` draws its input.

    `rates` gives parameters whose name ends so a learning rate of their own.
    """
    import torch

    model.train()
    groups = _groups(model, {"": rate} | dict(rates or {}))
    optimizer = torch.optim.AdamW(groups, weight_decay=0.01, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, [group["lr"] for group in groups], total_steps=steps, pct_start=0.15
    )
    for _ in range(steps):
        optimizer.zero_grad()
        model(**batch()).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    model.eval()


def _groups(model: PreTrainedModel, rates: Mapping[str, float]) -> list[dict[str, Any]]:
    groups: dict[str, list[torch.nn.Parameter]] = {ending: [] for ending in rates}
    for name, parameter in model.named_parameters():
        groups[max((end for end in rates if name.endswith(end)), key=len)].append(parameter)
    return [{"params": groups[ending], "lr": rate} for ending, rate in rates.items()]


def pick(count: int, size: int) -> torch.Tensor:
    """Draw the numbers of `size` different samples out of `count`."""
    import torch

    return torch.randperm(count)[:size]


def save(folder: Path, *parts: Any) -> None:
    """Write a model, its tokenizer and its processor as one Hugging Face folder."""
    for part in parts:
        part.save_pretrained(folder)
