"""Open a model, a frozen directory or a pipeline, to inspect it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from quantcli.checkpoint.model import read_checkpoint
from quantcli.inspection.contents import Contents, FrozenPart, Part, PlainPart
from quantcli.mark import MANIFEST, SECTION, is_ours
from quantcli.pipelines.index import is_pipeline
from quantcli.planning import Plan, Source, make_plan, read_source
from quantcli.recipe import Recipe
from quantcli.skeleton import Binding, Ties

if TYPE_CHECKING:
    from quantcli.checkpoint import Checkpoint
    from quantcli.checkpoint.records import ModelFiles
    from quantcli.pipelines.pipeline import Component

ONE_SHARD = 2**63
"""More bytes than a model has: only the entries of a plan matter here."""

ORIGIN = ("source", "recipe", "versions")
"""What a manifest says about where a directory comes from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """How to open a model.

    `values` says that the values will be read, and so the weights downloaded; without it the
    headers are enough. `class_name` is the class to build, by default that of the config.
    """

    values: bool = False
    class_name: str | None = None
    trust_remote_code: bool = False

    def open(self, files: ModelFiles) -> Contents:
        """Return what is in a folder or a repo.

        Raises `ModelError` if it is no model, or damaged.
        """
        if is_pipeline(files):
            return self._pipeline(files)
        checkpoint = read_checkpoint(files)
        if is_ours(checkpoint.config.get(SECTION)):
            part = self._frozen(checkpoint)
            return _frozen_contents(checkpoint.model, checkpoint.revision, part.manifest, (part,))
        plan, source = self._plan(checkpoint)
        plain = PlainPart(plan, source)
        return Contents(
            model=plan.model,
            revision=plan.revision,
            architecture=plan.architecture,
            frozen=False,
            parts=(plain,),
            notices=(*plain.left_out,),
        )

    def _frozen(self, checkpoint: Checkpoint, name: str = "") -> FrozenPart:
        from quantcli.dequantization.reader import FrozenReader

        folder = checkpoint.fetch_all()
        return FrozenPart(FrozenReader(folder, trust_remote_code=self.trust_remote_code), name)

    def _plan(self, checkpoint: Checkpoint) -> tuple[Plan, Source]:
        if self.values:
            checkpoint.fetch()
        source = read_source(
            checkpoint,
            trust_remote_code=self.trust_remote_code,
            class_name=self.class_name,
            here=self._is_here(checkpoint),
        )
        return make_plan(Recipe(), source, max_shard_size=ONE_SHARD), source

    def _is_here(self, checkpoint: Checkpoint) -> bool:
        return self.values or checkpoint.revision is None

    def _pipeline(self, files: ModelFiles) -> Contents:
        from quantcli.pipelines.pipeline import open_pipeline

        pipeline = open_pipeline(files)
        parts = tuple(
            self._component(component)
            for component in pipeline.components
            if component.checkpoint is not None
        )
        if MANIFEST in files.sizes:
            from quantcli.frozen.manifest import read_manifest

            manifest = read_manifest(pipeline.fetch())
            return _frozen_contents(pipeline.model, pipeline.revision, manifest, parts)
        plain = [part for part in parts if isinstance(part, PlainPart)]
        return Contents(
            model=pipeline.model,
            revision=pipeline.revision,
            architecture=pipeline.index.class_name,
            frozen=False,
            parts=parts,
            notices=tuple(f"{part.name}: {text}" for part in plain for text in part.left_out),
        )

    def _component(self, component: Component) -> Part:
        from quantcli.pipelines.copied import plan_copy
        from quantcli.pipelines.source import read_component

        checkpoint = component.checkpoint
        assert checkpoint is not None, component.name
        if is_ours(checkpoint.config.get(SECTION)):
            return self._frozen(checkpoint, component.name)
        if self.values:
            checkpoint.fetch()
        if component.model_class is None:
            plan = plan_copy(component, weights="int8")
            return PlainPart(plan, _by_stored_names(checkpoint), component.name)
        source = read_component(
            component,
            trust_remote_code=self.trust_remote_code,
            here=self._is_here(checkpoint),
        )
        plan = make_plan(Recipe(), source, max_shard_size=ONE_SHARD)
        return PlainPart(plan, source, component.name)


def _frozen_contents(
    model: str, revision: str | None, manifest: Mapping[str, Any], parts: tuple[Part, ...]
) -> Contents:
    return Contents(
        model=model,
        revision=revision,
        architecture=str(manifest.get("architecture")),
        frozen=True,
        weights=manifest["weights"],
        parts=parts,
        origin={key: manifest[key] for key in ORIGIN if key in manifest},
    )


def _by_stored_names(checkpoint: Checkpoint) -> Source:
    """Return the source of a model that neither library knows: its tensors as they are stored."""
    skeleton: Any = None
    bindings = {
        name: Binding(name=name, sources=(name,), shape=record.shape)
        for name, record in checkpoint.tensors.items()
    }
    return Source(
        checkpoint=checkpoint,
        skeleton=skeleton,
        bindings=bindings,
        ties=Ties(aliases={}, stored_from={}, untied=()),
        unexpected=(),
        sampled=False,
    )
