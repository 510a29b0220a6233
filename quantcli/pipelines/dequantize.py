"""Turn a frozen pipeline back into an ordinary one, component by component."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from quantcli.checkpoint.folder import Folder
from quantcli.dequantization.model import Dequantization, plan_dequantization
from quantcli.dequantization.reader import FrozenReader
from quantcli.files import copy_file
from quantcli.mark import SECTION, is_ours
from quantcli.pipelines.pipeline import Component, Pipeline, open_pipeline
from quantcli.pipelines.progress import Shared

if TYPE_CHECKING:
    from quantcli.execute import Progress


@dataclass(frozen=True, kw_only=True)
class PipelineDequantization:
    """What is written for a pipeline: its frozen components, by name; the others are copied."""

    pipeline: Pipeline
    components: dict[str, Dequantization]

    @property
    def nbytes(self) -> int:
        """Bytes of the tensors that are written or copied."""
        return sum(each.nbytes for each in self.components.values()) + sum(
            record.nbytes
            for component in self._copied()
            if component.checkpoint is not None
            for record in component.checkpoint.tensors.values()
        )

    @property
    def needed(self) -> int:
        """Bytes of everything that is written, but for configs."""
        files = [*self.pipeline.side_files(), *self._copies()]
        return sum(each.nbytes for each in self.components.values()) + sum(
            path.stat().st_size for _, path in files
        )

    def write(self, folder: Path, *, jobs: int, progress: Progress | None = None) -> None:
        """Write the weights of the frozen components into `folder`."""
        total = sum(each.nbytes for each in self.components.values())
        with Shared(progress, total=total) as shared:
            for name, component in self.components.items():
                inside = folder / name
                inside.mkdir(exist_ok=True)
                component.write(inside, jobs=jobs, progress=shared.part(component.nbytes))

    def write_rest(self, folder: Path) -> None:
        """Write the index of the pipeline, the configs, and what is copied."""
        for name, path in [*self.pipeline.side_files(), *self._copies()]:
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            copy_file(path, target)
        for name, component in self.components.items():
            component.write_rest(folder / name)

    def _copied(self) -> list[Component]:
        return [each for each in self.pipeline.components if each.name not in self.components]

    def _copies(self) -> list[tuple[str, Path]]:
        return [
            (f"{component.name}/{name}", path)
            for component in self._copied()
            for name, path in component.all_files()
        ]


def plan_pipeline_dequantization(
    folder: Path,
    stack: ExitStack,
    *,
    max_shard_size: int,
    dtype: str | None = None,
    trust_remote_code: bool = False,
) -> PipelineDequantization:
    """Decide what the components of a frozen pipeline hold; `stack` keeps their files open.

    Raises `ModelError` as `plan_dequantization` does.
    """
    pipeline = open_pipeline(Folder(str(folder)))
    components = {}
    for component in pipeline.components:
        checkpoint = component.checkpoint
        if checkpoint is None or not is_ours(checkpoint.config.get(SECTION)):
            continue
        reader = stack.enter_context(
            FrozenReader(folder / component.name, trust_remote_code=trust_remote_code)
        )
        components[component.name] = plan_dequantization(
            reader,
            max_shard_size=max_shard_size,
            dtype=dtype,
            trust_remote_code=trust_remote_code,
        )
    return PipelineDequantization(pipeline=pipeline, components=components)
