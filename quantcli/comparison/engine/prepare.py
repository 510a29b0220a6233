"""Find both models, check that they belong together, prepare the samples."""

from __future__ import annotations

from dataclasses import dataclass, replace

from quantcli.comparison.engine.feeding import Fed, FeedOptions, feed_first, feed_next
from quantcli.comparison.engine.opening import open_side
from quantcli.comparison.engine.sides import Side, check_pair
from quantcli.comparison.engine.tasks import find_task
from quantcli.comparison.engine.ways import ways
from quantcli.comparison.families.family import UnsuitedError
from quantcli.comparison.gates import check_requirements
from quantcli.comparison.inputs.pairing import pair_kits
from quantcli.comparison.request import CompareRequest
from quantcli.errors import ModelError, UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Both models, found and checked but not loaded, and the inputs for them."""

    request: CompareRequest
    quantized: Side
    fed: Fed
    """The original, and the inputs of both."""

    @property
    def original(self) -> Side:
        """The first of the two models."""
        return self.fed.side

    @property
    def task(self) -> str:
        """The name of the task that the models are compared as."""
        return self.fed.task

    def check(self) -> None:
        """Raise `UsageError` if the gates or the baseline do not fit what is compared."""
        requirements = self.request.requirements
        known = self.quantized.coverage is not None
        check_requirements(requirements, self.task, coverage_known=known)
        if requirements.baseline is not None:
            requirements.baseline.check(self.original.summary, self.task, self.fed.sample_hash)


def prepare(request: CompareRequest) -> Prepared:
    """Find both models, check that they belong together, and make the inputs for them.

    Raises `UsageError` for samples that do not fit, `ModelError` for models that do not.
    """
    original, quantized = (
        open_side(
            name,
            revision=revision,
            trust_remote_code=request.trust_remote_code,
            progress=request.show_downloads,
        )
        for name, revision in ((request.original, request.revision), (request.quantized, None))
    )
    original = _same_class(request, original, quantized)
    check_pair(original, quantized)
    task = find_task(original, request.task)
    found = ways(task, asked=request.task is not None, own_samples=request.samples.own)
    kit = pair_kits(original.make_kit(), quantized.make_kit())
    fed = feed_first(original, kit, _options(request), found)
    return Prepared(request=request, quantized=quantized, fed=fed)


def fall_back(prepared: Prepared, error: UnsuitedError) -> Prepared:
    """Return the next way to compare the models, which could not be run as `prepared`.

    Raises `error` if there is none, or if the next one has the same inputs.
    """
    return replace(prepared, fed=feed_next(prepared.fed, error))


def _options(request: CompareRequest) -> FeedOptions:
    return FeedOptions(
        samples=request.samples, max_tokens=request.max_tokens, generate=request.generate
    )


def _same_class(request: CompareRequest, original: Side, quantized: Side) -> Side:
    """Open the original as the class that was frozen (`quantize --class`), if it can be."""
    if quantized.model_class or original.architecture == quantized.architecture:
        return original
    try:
        return open_side(
            request.original,
            revision=request.revision,
            trust_remote_code=request.trust_remote_code,
            class_name=quantized.architecture,
        )
    except (ModelError, UsageError):
        return original
