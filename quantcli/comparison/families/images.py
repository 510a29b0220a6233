"""Pipelines that make images of noise: the images, and what each model makes of the same input."""

from __future__ import annotations

import inspect
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from quantcli.comparison.families.clock import Clock
from quantcli.comparison.families.estimates import Estimates
from quantcli.comparison.families.family import Outputs, Setting, UnsuitedError
from quantcli.comparison.families.recording import INPUT, Call, recorded, replay
from quantcli.comparison.inputs.feeds import Feed
from quantcli.comparison.inputs.kit import Kit
from quantcli.comparison.metrics.vectors import cosine, psnr
from quantcli.comparison.results import Generated, Measurement
from quantcli.text import first_line
from quantcli.upstream.foreign import is_bug

STEPS = 4
"""Steps of denoising. Few, so that the images of both pipelines still belong together."""

IMAGES = "images"

_FAILURES = (TypeError, ValueError, LookupError, AttributeError, RuntimeError)


class Images:
    """Images at fixed seeds, by cosine and PSNR; the outputs of each component likewise.

    Components are compared on the same inputs: those that they get in the original pipeline.
    `asked` is the argument that a pipeline is called with: "prompt", "class_labels", or "".
    """

    def __init__(self, asked: str) -> None:
        self._asked = asked
        self._calls: dict[str, list[Call]] = {}
        self._cosines: dict[str, list[float]] = defaultdict(list)
        self._psnrs: dict[str, list[float]] = defaultdict(list)

    def feeds(self, setting: Setting) -> tuple[list[Feed], bool]:
        """Return a feed for each prompt, each of some labels, or each of some seeds."""
        seed = setting.seed
        if self._asked == "prompt":
            return [
                _feed(item.name, seed + index, prompt=_checked(setting.kit, item.name, item.value))
                for index, item in enumerate(setting.samples.texts)
            ], False
        count = setting.count
        if not self._asked:
            return [_feed(f"noise {index + 1}", seed + index) for index in range(count)], False
        labels = [index * _classes(setting.kit.config) // count for index in range(count)]
        return [_feed(f"class {n}", seed + index, label=n) for index, n in enumerate(labels)], False

    def run(self, model: Any, feed: Feed, clock: Clock, reference: Outputs | None) -> Outputs:
        """Return the image, what each component returns, and what the original's were given."""
        if reference is None:
            with recorded(model.models) as recording:
                image = self._image(model, feed, clock)
            self._calls[feed.name] = recording.calls
            return {IMAGES: image, **recording.vectors(), **recording.inputs}
        image = self._image(model, feed, clock)
        given = {name: tensor for name, tensor in reference.items() if INPUT in name}
        with _explained(model, feed):
            vectors = replay(self._calls[feed.name], given, model.models)
        return {IMAGES: image, **vectors, **given}

    def observe(self, feed: Feed, original: Outputs, quantized: Outputs) -> None:
        """Compare the images, and the outputs of each component."""
        del feed
        for name, tensor in original.items():
            if INPUT in name:
                continue
            x, y = (side.double().flatten().numpy() for side in (tensor, quantized[name]))
            peak = 1.0 if name == IMAGES else float(np.ptp(x))
            self._cosines[name].append(cosine(x, y))
            self._psnrs[name].append(psnr(x, y, peak))

    def metrics(self, seed: int) -> dict[str, Measurement]:
        """Return cosine and PSNR of the images and of each component's outputs."""
        found: dict[str, Measurement] = {}
        for name, values in self._cosines.items():
            estimates = Estimates(len(values), seed=seed)
            found |= estimates.cosines(name, values)
            found[f"psnr_{name}"] = estimates.mean(self._psnrs[name])
        return found

    def generated(self, kit: Kit) -> tuple[Generated, ...]:
        """Return nothing: the pipelines generate no text."""
        del kit
        return ()

    def _image(self, model: Any, feed: Feed, clock: Clock) -> torch.Tensor:
        """Return the image of a feed, (height, width, channels), from 0 to 1."""
        pipeline = model.pipeline
        pipeline.set_progress_bar_config(disable=True)
        asked: dict[str, Any] = {"prompt": {"prompt": feed.prompt}}.get(self._asked, {})
        if self._asked == "class_labels":
            asked = {"class_labels": feed.inputs["label"].tolist()}
        known = inspect.signature(pipeline.__call__).parameters
        options = {
            "num_inference_steps": STEPS,
            "generator": torch.Generator().manual_seed(int(feed.inputs["seed"])),
            "output_type": "np",
        }
        with _explained(model, feed), clock.forward():
            made = pipeline(**asked, **{k: v for k, v in options.items() if k in known})
        found = getattr(made, "images", None)
        if found is None or not len(found):
            raise UnsuitedError(f"{type(pipeline).__name__} returns no images")
        return torch.from_numpy(np.ascontiguousarray(found[0], dtype=np.float32))


def _feed(name: str, seed: int, *, prompt: str = "", label: int | None = None) -> Feed:
    """Return a feed; everything that decides the image is in its inputs, for the hash."""
    inputs = {"seed": torch.tensor(seed), "steps": torch.tensor(STEPS)}
    if prompt:
        inputs["prompt"] = torch.tensor([*prompt.encode()], dtype=torch.uint8)
    if label is not None:
        inputs["label"] = torch.tensor([label])
    return Feed(name=f"{name}, seed {seed}", output=IMAGES, inputs=inputs, prompt=prompt)


def _checked(kit: Kit, name: str, prompt: str) -> str:
    """Return a prompt; the kit notes if it is too long, or if the tokenizers differ on it."""
    if kit.tokenizer is not None:
        kit.tokenize(name, prompt)
    return prompt


def _classes(config: Mapping[str, Any]) -> int:
    """Return the number of classes that a pipeline has, from the configs of its components."""
    for part in config.values():
        count = part.get("num_embeds_ada_norm") or part.get("num_classes")
        if isinstance(count, int) and count > 0:
            return count
    raise UnsuitedError("no component's config says how many classes there are")


@contextmanager
def _explained(model: Any, feed: Feed) -> Iterator[None]:
    """Raise `UnsuitedError` if a pipeline or a component cannot be run on a feed."""
    try:
        yield
    except _FAILURES as error:
        if is_bug(error, callers=3):
            raise
        if "DefaultCPUAllocator" in str(error):
            raise MemoryError from error  # torch has no type for it
        name = type(model.pipeline).__name__
        raise UnsuitedError(f"{name} cannot be run on {feed.name}: {first_line(error)}") from error
