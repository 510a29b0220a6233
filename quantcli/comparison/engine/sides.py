"""The two models, found, checked and described before either is loaded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quantcli.checkpoint import Checkpoint
from quantcli.checkpoint.fingerprint import digest, fingerprint
from quantcli.checkpoint.model import read_checkpoint
from quantcli.checkpoint.records import ModelFiles
from quantcli.comparison.inputs.kit import Kit
from quantcli.comparison.results import SideSummary
from quantcli.errors import ModelError, UsageError
from quantcli.files import read_json
from quantcli.frozen.manifest import read_manifest
from quantcli.frozen.verify import check
from quantcli.mark import SECTION, is_ours
from quantcli.text import first_line

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """A model that can be loaded: a checkpoint or a frozen directory.

    `nbytes` is the payload of its tensors, tied ones once. `coverage` is only known for a frozen
    directory. `model_class` is None for a frozen directory of a model, which
    names its own class.
    """

    folder: Path
    config: Mapping[str, Any]
    nbytes: int
    parameters: int
    coverage: float | None
    summary: SideSummary
    model_class: Any
    trust_remote_code: bool

    @property
    def architecture(self) -> str:
        """The name of the model's class."""
        return self.summary.architecture

    def make_kit(self) -> Kit:
        """Return its tokenizer and processors, which are loaded when first used."""
        return Kit(
            self.folder,
            self.config,
            model=self.summary.model,
            trust_remote_code=self.trust_remote_code,
        )

    def load(self, device: str) -> PreTrainedModel:
        """Load the model in its own dtype, in eval mode.

        Raises `ModelError` if transformers cannot load it.
        """
        with no_progress_bar():
            return self._load(None if device == "cpu" else device)

    def _load(self, placed: str | None) -> PreTrainedModel:
        if self.model_class is None:
            from quantcli.loading import load

            return load(self.folder, device_map=placed, trust_remote_code=self.trust_remote_code)
        try:
            model: PreTrainedModel = self.model_class.from_pretrained(
                str(self.folder.resolve()),
                dtype="auto",
                device_map=placed,
                local_files_only=True,
                trust_remote_code=self.trust_remote_code,
            )
        except (OSError, ValueError, RuntimeError) as error:
            reason = first_line(error)
            raise ModelError(f"cannot load {self.summary.model}: {reason}") from error
        model.eval()
        return model


def model_side(
    files: ModelFiles, *, trust_remote_code: bool = False, class_name: str | None = None
) -> Side:
    """Open a model in a folder or a Hub repo, download it if needed, and check it.

    Options and errors are those of `open_side`.
    """
    checkpoint = read_checkpoint(files)
    if is_ours(checkpoint.config.get(SECTION)):
        folder = checkpoint.fetch_all()
        return frozen_side(
            checkpoint.model, checkpoint.revision, folder, trust_remote_code=trust_remote_code
        )
    return _checkpoint_side(checkpoint, trust_remote_code=trust_remote_code, class_name=class_name)


def check_pair(original: Side, quantized: Side) -> None:
    """Check that two models can be compared.

    Raises `UsageError` if only the first is frozen, `ModelError` for different architectures or
    numbers of parameters.
    """
    if original.summary.weights is not None and quantized.summary.weights is None:
        raise UsageError(
            f"{original.summary.model} is a frozen directory, and {quantized.summary.model} is not:"
            " the original model comes first",
            hint=f"quantcli compare {quantized.summary.model} {original.summary.model}",
        )
    names = f"{original.summary.model} and {quantized.summary.model}"
    if original.architecture != quantized.architecture:
        raise ModelError(
            f"{names} have different architectures: "
            f"{original.architecture} and {quantized.architecture}",
            hint="compare a model with its own quantized version",
        )
    if original.parameters != quantized.parameters:
        raise ModelError(
            f"{names} have different sizes: {original.parameters:,} and "
            f"{quantized.parameters:,} parameters, both {original.architecture}",
            hint="compare a model with its own quantized version",
        )


def _checkpoint_side(
    checkpoint: Checkpoint, *, trust_remote_code: bool, class_name: str | None
) -> Side:
    from quantcli.planning import measure_original, read_source

    checkpoint.fetch()
    source = read_source(
        checkpoint, trust_remote_code=trust_remote_code, class_name=class_name, here=True
    )
    size = measure_original(source)
    return Side(
        folder=checkpoint.path("config.json").parent,
        config=checkpoint.config,
        nbytes=size.nbytes,
        parameters=size.parameters,
        coverage=None,
        summary=SideSummary(
            model=checkpoint.model,
            revision=checkpoint.revision,
            architecture=source.skeleton.architecture,
            fingerprint=fingerprint(checkpoint),
        ),
        model_class=type(source.skeleton.model),
        trust_remote_code=trust_remote_code,
    )


def frozen_side(name: str, revision: str | None, folder: Path, *, trust_remote_code: bool) -> Side:
    """Check a frozen directory. Raises `ModelError` if it is damaged."""
    manifest = read_manifest(folder)
    checked = check(folder)
    if checked.problems:
        raise ModelError(f"{name} is damaged: {checked.listed}", hint="quantize the original again")
    config = read_json(folder / "config.json")
    found = manifest["footprint"]
    return Side(
        folder=folder,
        config=config,
        nbytes=found["quantized"]["bytes"],
        parameters=found["parameters"],
        coverage=found["coverage"],
        summary=SideSummary(
            model=name,
            revision=revision,
            architecture=config["architectures"][0],
            fingerprint=digest(
                f"{file} {entry['sha256']}"
                for file, entry in sorted(manifest["files"].items())
                if file.endswith(".safetensors")
            ),
            weights=manifest["weights"],
        ),
        model_class=None,
        trust_remote_code=trust_remote_code,
    )


@contextmanager
def no_progress_bar() -> Iterator[None]:
    """Hide transformers' progress bar for loading: ours counts samples."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
