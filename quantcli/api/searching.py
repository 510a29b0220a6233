"""The search of `tune`: from a model and a target to a recipe, with real comparisons."""

from __future__ import annotations

import math
import os
import tempfile
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quantcli.api.comparing import compare_request, make_compare_request
from quantcli.api.freezing import quantize_request
from quantcli.api.request import open_model, read_model
from quantcli.calibration import Calibration
from quantcli.checkpoint.fingerprint import fingerprint
from quantcli.comparison.engine.opening import open_side
from quantcli.comparison.gates import check_gates, matching
from quantcli.errors import UsageError, VerificationError
from quantcli.frozen.write import versions
from quantcli.planning import Source
from quantcli.recipe import Compare, Recipe
from quantcli.recipe.tables import GateOptions
from quantcli.text import format_bytes
from quantcli.tuning.cache import CacheKey, Measured, check_cache, load_cache, save_cache
from quantcli.tuning.correcting import Correction, Trial, make_links
from quantcli.tuning.document import recipe_text
from quantcli.tuning.feeding import check_samples, feed_search
from quantcli.tuning.folding import fold
from quantcli.tuning.groups import make_groups
from quantcli.tuning.measuring import measure, steps_left
from quantcli.tuning.menu import Menu, make_menu
from quantcli.tuning.predicting import Choice, Predictor
from quantcli.tuning.probing import Probe
from quantcli.tuning.stages import Stages
from quantcli.tuning.values import Weights

if TYPE_CHECKING:
    from quantcli.api.tuning import TuneRequest
    from quantcli.calibrating.feeding import Fed
    from quantcli.tuning.result import Tuned

_GENERATED = ("generation_", "tokens_per_second_")


@dataclass(frozen=True, kw_only=True)
class Subject:
    """The model that is tuned: what it can become, and the samples that it is measured on."""

    source: Source
    menu: Menu
    fed: Fed
    fingerprint: str


def open_subject(request: TuneRequest) -> Subject:
    """Find and check the model, and everything that is wanted of it, before any long work.

    Raises `UsageError` for a pipeline and for gates that do not fit the task, `VerificationError`
    for a size below that of the smallest candidates.
    """
    source = _open(request)
    menu = make_menu(source, request.candidates, {"optimizer": request.optimizer})
    side = open_side(
        request.model,
        revision=request.base.revision,
        trust_remote_code=request.base.trust_remote_code,
    )
    task, seed = request.samples.task, request.samples.seed or 0
    fed = feed_search(side, task=task, seed=seed)
    check_gates(request.gates, fed.task, coverage_known=True)
    _check_sizes(request, menu)
    check_samples(side, request.samples.options(), task=task)
    found = fingerprint(source.checkpoint)
    if request.cache is not None:
        check_cache(request.cache, request.model, found)
    return Subject(source=source, menu=menu, fed=fed, fingerprint=found)


def _open(request: TuneRequest) -> Source:
    checkpoint = open_model(request.base)
    source = read_model(request.base, checkpoint)
    if not isinstance(source, Source):
        raise UsageError(
            f"{request.model} is a pipeline; only models can be tuned",
            hint="quantize it with a dtype, or with rules of your own in a recipe",
        )
    source.checkpoint.fetch()
    if source.sampled:
        found = read_model(request.base, checkpoint, here=True)
        assert isinstance(found, Source)
        return found
    return source


def _check_sizes(request: TuneRequest, menu: Menu) -> None:
    """Raise `VerificationError` if no candidates make the model as small as is wanted."""
    limits = [g.limit for g in request.gates if g.metric == "size_ratio" and g.operator[0] == "<"]
    ratio = menu.ratio(menu.smallest)
    if limits and min(limits) < ratio:
        names = ", ".join(map(str, request.candidates))
        raise VerificationError(
            f"{request.model} cannot be {min(limits):g} of its size: the smallest that the "
            f"candidates allow is {ratio:.4f} ({format_bytes(menu.smallest)}; {names})",
            hint="allow smaller --candidates, or a larger size",
        )


class Search:
    """The measurements of one model, and the trials that are made from them."""

    def __init__(
        self,
        request: TuneRequest,
        subject: Subject,
        calibration: Calibration,
        *,
        jobs: int,
        stages: Stages,
    ) -> None:
        self.request = request
        base = {"optimizer": request.optimizer}
        menu = make_menu(subject.source, request.candidates, base, calibration)
        self.subject = replace(subject, menu=menu)
        if request.calibration is not None:
            calibration.check(subject.source.checkpoint)
        self.calibration = calibration
        self._jobs = jobs
        self._stages = stages
        self._tried = 0

    @cached_property
    def measured(self) -> Measured:
        """The damages and metrics that choices are made from: from the cache, or measured now."""
        cache = self.request.cache
        found = Measured() if cache is None else load_cache(cache, self._key)
        groups = make_groups(module.name for module in self.subject.menu.modules)
        steps = steps_left(self.subject.menu, groups, found, self.request.optimizer)
        if steps:
            weights = Weights(self.subject.source, self.calibration, self._jobs)
            with Probe(self.subject.fed) as probe:
                measure(
                    self.subject.menu,
                    steps,
                    probe,
                    weights,
                    found,
                    progress=self._stages.progress("measuring"),
                    on_step=lambda: self._save(found),
                )
        return found

    @cached_property
    def predictor(self) -> Predictor:
        """What every choice is expected to do."""
        groups = make_groups(module.name for module in self.subject.menu.modules)
        return Predictor(self.subject.menu, groups, self.measured, self.request.optimizer)

    def keys(self, choice: Choice) -> dict[str, Any]:
        """Return the keys of the recipe of a choice."""
        menu = self.subject.menu
        folded = fold(choice.chosen, menu.embeddings)
        grouped = any(candidate.is_grouped for candidate in choice.chosen.values())
        optimizer = {"optimizer": self.request.optimizer} if grouped else {}
        return {"model": self._origin, **folded.to_dict(), **optimizer}

    @property
    def _origin(self) -> str:
        """The model as a recipe names it, wherever that is used."""
        model, revision = self.request.model, self.request.base.revision
        if Path(model).exists():
            return os.path.abspath(model)  # noqa: PTH100 - a link keeps its own name
        return model if revision is None else f"{model}@{revision}"

    def verify(self, choice: Choice) -> Trial:
        """Write the model of a choice, and compare it with the original."""
        self._tried += 1
        self._stages.trying(self._tried, choice)
        recipe = Recipe.parse(self.keys(choice))
        calibrated = recipe.optimizer == "gptq"
        base = replace(
            self.request.base,
            recipe=recipe,
            calibration=self.calibration.path if calibrated else None,
        )
        with tempfile.TemporaryDirectory(prefix="quantcli-") as folder:
            written = quantize_request(
                base,
                output=Path(folder) / "model",
                jobs=self._jobs,
                progress=self._stages.progress("quantizing"),
            )
            assert written.plan.nbytes == choice.nbytes, (written.plan.nbytes, choice.nbytes)
            report = compare_request(
                make_compare_request(
                    self.request.model,
                    written,
                    samples=self.compared,
                    gates=GateOptions.check(self.gates, origin="gates"),
                    revision=self.request.base.revision,
                    trust_remote_code=self.request.base.trust_remote_code,
                ),
                progress=self._stages.progress("comparing"),
            )
        return Trial(choice, report)

    def document(self, found: Tuned, trial: Trial) -> str:
        """Return the recipe of a trial as TOML."""
        keys = {**self.keys(trial.choice), "compare": self.compared.given, "gates": self.gates}
        return recipe_text(found, keys, f"sha256 {self.calibration.sha256[:16]}")

    @cached_property
    def compared(self) -> Compare:
        """What both models are compared on. Text is generated only if a gate is about that."""
        generated = any(gate.metric.startswith(_GENERATED) for gate in self.request.gates)
        return self.request.samples.override(Compare(generate=generated))

    @cached_property
    def gates(self) -> dict[str, Any]:
        """The `[gates]` of the recipe."""
        if self.request.max_size_ratio is not None:
            return {"max_size_ratio": self.request.max_size_ratio}
        return {"gate": [f"{g.metric}{g.operator}{g.limit!r}" for g in self.request.gates]}

    @property
    def _key(self) -> CacheKey:
        fed = self.subject.fed
        return CacheKey(
            model=self.request.model,
            fingerprint=self.subject.fingerprint,
            calibration=self._calibration_key,
            samples=fed.sample_hash,
            task=fed.task,
            versions=versions(),
        )

    @property
    def _calibration_key(self) -> str:
        """What tells calibrations apart: one that was made here is known by its samples."""
        if self.request.calibration is not None:
            return self.calibration.sha256
        return ", ".join(f"{each.source} {each.hash}" for each in self.calibration.header.samples)

    def _save(self, measured: Measured) -> None:
        if self.request.cache is not None:
            save_cache(self.request.cache, self._key, measured)


def find(search: Search) -> tuple[Trial, Correction]:
    """Return the trial that answers what was asked, and what was learnt on the way.

    Raises `VerificationError` if nothing that can be quantized is allowed.
    """
    request, menu, predictor = search.request, search.subject.menu, search.predictor
    names = [name for name in search.measured.reference if _is_shown(name, request)]
    links = make_links(search.measured, names, predictor.floor)
    correction = Correction(predictor, links, request.gates)
    if request.max_size_ratio is None:
        trial = correction.run(search.verify)
    else:
        choice = predictor.of_size(math.floor(request.max_size_ratio * menu.original_bytes))
        trial = None if choice is None else search.verify(choice)
        correction.trials += [trial] if trial else []
    if trial is None:
        raise VerificationError(
            f"{request.model}: no module can be quantized within these gates",
            hint="ask for less, or allow larger --candidates",
        )
    return trial, correction


def _is_shown(name: str, request: TuneRequest) -> bool:
    """Return whether the frontier has a metric: those of gates, and what is predicted by."""
    asked = any(name in matching(gate.metric, [name]) for gate in request.gates)
    is_score = name == "kl_mean" or (name.startswith("cosine_") and not name.endswith("_min"))
    return asked or is_score
