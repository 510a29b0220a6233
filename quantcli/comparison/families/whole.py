"""Any other model: every floating-point output, on random inputs made from the config."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import torch

from quantcli.comparison.families.clock import Clock
from quantcli.comparison.families.estimates import Estimates
from quantcli.comparison.families.family import Outputs, Setting, UnsuitedError, call
from quantcli.comparison.families.placeholders import Placeholders
from quantcli.comparison.inputs.feeds import Feed
from quantcli.comparison.inputs.kit import Kit
from quantcli.comparison.metrics.vectors import cosine, sqnr
from quantcli.comparison.results import Generated, Measurement


class AllOutputs:
    """Cosine and SQNR of each output, on all inputs that the model takes or the main one alone."""

    def __init__(self, *, alone: bool = False) -> None:
        self._alone = alone
        self._placeholders = Placeholders()
        self._cosines: dict[str, list[float]] = defaultdict(list)
        self._sqnrs: dict[str, list[float]] = defaultdict(list)

    def feeds(self, setting: Setting) -> tuple[list[Feed], bool]:
        """Return random feeds. Raises `UnsuitedError` if the config does not say what to make."""
        found = []
        make = setting.synthetic.main_input if self._alone else setting.synthetic.inputs
        for index in range(setting.count):
            inputs = make(setting.model_class)
            if not inputs:
                raise UnsuitedError(
                    f"no inputs can be made for {setting.model_class.__name__}, which takes "
                    f"{setting.model_class.main_input_name}"
                )
            found.append(Feed(name=f"synthetic {index + 1}", output="outputs", inputs=inputs))
        return found, True

    def run(self, model: Any, feed: Feed, clock: Clock, reference: Outputs | None) -> Outputs:
        """Return every floating-point output."""
        del reference
        inputs = self._placeholders.fill(model, feed.inputs)
        with torch.random.fork_rng(devices=[]), clock.forward():
            torch.manual_seed(0)  # some models draw random numbers: both must get the same
            output = call(model, inputs)
        found = dict(_tensors("", output))
        if not found:
            raise UnsuitedError(f"{type(model).__name__} returns no floating-point outputs")
        return found

    def observe(self, feed: Feed, original: Outputs, quantized: Outputs) -> None:
        """Compare each output as a vector."""
        del feed
        for name, tensor in original.items():
            x, y = (side.double().flatten().numpy() for side in (tensor, quantized[name]))
            self._cosines[name].append(cosine(x, y))
            self._sqnrs[name].append(sqnr(x, y))

    def metrics(self, seed: int) -> dict[str, Measurement]:
        """Return the cosines and the SQNR of each output."""
        found: dict[str, Measurement] = {}
        for name, values in self._cosines.items():
            estimates = Estimates(len(values), seed=seed)
            found |= estimates.cosines(name, values)
            found[f"sqnr_{name}"] = estimates.mean(self._sqnrs[name])
        return found

    def generated(self, kit: Kit) -> tuple[Generated, ...]:
        """Return nothing: the models generate no text."""
        del kit
        return ()


def _tensors(prefix: str, value: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the floating-point tensors of an output, under names such as `hidden_states_1`."""
    if isinstance(value, torch.Tensor):
        if value.is_floating_point():
            yield prefix or "output", value.detach().cpu().clone()
    elif isinstance(value, dict):
        for name, part in value.items():
            yield from _tensors(f"{prefix}_{name}" if prefix else str(name), part)
    elif isinstance(value, tuple | list):
        for index, part in enumerate(value):
            yield from _tensors(f"{prefix}_{index}" if prefix else str(index), part)
