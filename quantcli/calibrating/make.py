"""From a request to a calibration file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from quantcli.calibrating.feeding import Fed, feed
from quantcli.calibrating.request import CalibrateRequest
from quantcli.calibrating.run import Observed, Passes, trace
from quantcli.calibrating.self_generated import write_samples
from quantcli.calibrating.sharing import Shared
from quantcli.calibrating.store import FILE, Store, stored_tensors
from quantcli.calibrating.sums import DivergedError
from quantcli.calibrating.targets import Weights, targets_of
from quantcli.calibration import Header, SampleSet
from quantcli.calibration.header import VERSION, is_calibration
from quantcli.checkpoint import find_files
from quantcli.checkpoint.fingerprint import fingerprint
from quantcli.checkpoint.model import read_checkpoint
from quantcli.checkpoint.records import ModelFiles
from quantcli.comparison.engine.sides import model_side
from quantcli.errors import ModelError, UsageError
from quantcli.execute import Progress
from quantcli.frozen.staging import FileStaging, digest_of
from quantcli.frozen.write import versions
from quantcli.pipelines.index import is_pipeline
from quantcli.planning import Source, read_source
from quantcli.process import available_memory


@dataclass(frozen=True, slots=True, kw_only=True)
class Making:
    """A model in memory with its samples, and which of its weights share a moment."""

    source: Source
    observed: Observed
    shared: Shared
    header: Header
    memory: int

    @property
    def fed(self) -> Fed:
        """The samples."""
        return self.observed.fed

    @property
    def passes(self) -> int:
        """How often all samples are run."""
        return len(Passes(self.observed, self.shared, self.memory).items)


def prepare_calibration(request: CalibrateRequest) -> Making:
    """Load a model, make its samples, and run one of each kind.

    Raises `UsageError` for samples that do not fit, `ModelError` for a model that cannot be run.
    """
    files = find_files(request.model, request.revision, progress=request.show_downloads)
    source = _read(request, files)
    side = model_side(
        files,
        trust_remote_code=request.trust_remote_code,
        class_name=request.class_name,
    )
    fed = feed(
        side,
        request.samples,
        task=request.task,
        max_tokens=request.max_tokens,
        self_generated=request.self_generated,
    )
    memory = request.memory or available_memory() // 2
    targets = targets_of(source)
    if not targets:
        raise ModelError(f"{request.model} has no weight that can be quantized")
    model = side.load("cpu")
    if request.self_generated:
        fed = write_samples(fed, model, request.max_tokens)
    observed = Observed(model=model, weights=Weights(model, targets), fed=fed)
    observed, shared = trace(observed)
    header = _header(request, source, observed.fed, shared)
    return Making(source=source, observed=observed, shared=shared, header=header, memory=memory)


def write_calibration(making: Making, request: CalibrateRequest, progress: Progress) -> int:
    """Run the passes, and write the file. Returns how many passes there were.

    A run that was interrupted goes on where it was saved last.
    """
    try:
        return _write(making, request, progress)
    except DivergedError as error:
        shared = making.shared.without(error.weight)
        header = making.header.model_copy(update={"weights": dict(shared.weights)})
        return write_calibration(replace(making, shared=shared, header=header), request, progress)


def _write(making: Making, request: CalibrateRequest, progress: Progress) -> int:
    passes = Passes(making.observed, making.shared, making.memory)
    tensors = stored_tensors(passes.owners, passes.tables)
    metadata = making.header.metadata()
    plan = [[(item.target.name, item.matrices) for item in items] for items in passes.items]
    staging = FileStaging(
        request.output,
        digest=digest_of(f"{metadata} {plan}", _weight_files(making.source)),
        needed=sum(tensor.nbytes for tensor in tensors),
        overwrite=request.overwrite,
        is_ours=is_calibration,
    )
    with staging:
        with Store(staging.folder, tensors, metadata) as store:
            passes.run(store, progress)
        staging.commit_file(FILE)
    return len(passes.items)


def _read(request: CalibrateRequest, files: ModelFiles) -> Source:
    if is_pipeline(files):
        raise UsageError(
            f"{request.model} is a pipeline; only models can be calibrated",
            hint="calibrate a model, or quantize the pipeline without a calibration",
        )
    checkpoint = read_checkpoint(files)
    checkpoint.fetch()
    return read_source(
        checkpoint,
        trust_remote_code=request.trust_remote_code,
        class_name=request.class_name,
        here=True,
    )


def _weight_files(source: Source) -> dict[str, Path]:
    checkpoint = source.checkpoint
    return {file: checkpoint.path(file) for file in checkpoint.weight_files}


def _header(request: CalibrateRequest, source: Source, fed: Fed, shared: Shared) -> Header:
    texts = [feed.inputs["input_ids"].numel() for feed in fed.feeds if "input_ids" in feed.inputs]
    samples = SampleSet(
        hash=fed.sample_hash,
        count=len(fed.feeds),
        source=_origin(request, fed),
        max_tokens=request.max_tokens if texts else None,
        tokens=sum(texts),
        seed=request.samples.seed,
    )
    return Header(
        version=VERSION,
        model=source.checkpoint.model,
        revision=source.checkpoint.revision,
        fingerprint=fingerprint(source.checkpoint),
        architecture=source.skeleton.architecture,
        task=fed.task,
        samples=(samples,),
        weights=dict(shared.weights),
        versions=versions(),
    )


def _origin(request: CalibrateRequest, fed: Fed) -> str:
    if request.self_generated:
        return "self-generated"
    if fed.synthetic:
        return "random"
    return "given" if request.samples.own else "built-in"
