"""A pipeline joined with the skeletons of its models: what its plan is made from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from quantcli.errors import ModelError
from quantcli.pipelines.pipeline import Component, Pipeline
from quantcli.pipelines.skeleton import read_diffusers_source
from quantcli.planning import Source, read_source


@dataclass(frozen=True, kw_only=True)
class PipelineSource:
    """A pipeline, and a source for each model that is planned, by the component's name.

    `sampled` is true if a tie was decided from samples because the weights are not local yet.
    """

    checkpoint: Pipeline
    sources: Mapping[str, Source]

    @property
    def sampled(self) -> bool:
        """Whether a model has to be read again when its weights are local."""
        return any(source.sampled for source in self.sources.values())


def read_pipeline(
    pipeline: Pipeline, *, rest: str = "keep", trust_remote_code: bool = False, here: bool
) -> PipelineSource:
    """Join the models of a pipeline with their skeletons; options as in `read_source`.

    Raises `ModelError` if one of them cannot be built.
    """
    sources = {}
    for component in pipeline.components:
        if component.model_class is not None:
            sources[component.name] = read_component(
                component, rest=rest, trust_remote_code=trust_remote_code, here=here
            )
    return PipelineSource(checkpoint=pipeline, sources=sources)


@contextmanager
def naming_no_class() -> Iterator[None]:
    """Leave out the hint of an option that pipelines do not have: their index names the class."""
    try:
        yield
    except ModelError as error:
        if error.hint and "--class" in error.hint:
            error.hint = "config.json and the weights are not from the same model"
        raise


def read_component(
    component: Component, *, rest: str = "keep", trust_remote_code: bool = False, here: bool
) -> Source:
    """Join one model of a pipeline with its skeleton, as `read_pipeline` does."""
    checkpoint = component.checkpoint
    assert checkpoint is not None, component.name
    with naming_no_class():
        if component.of_diffusers:
            return read_diffusers_source(checkpoint, component.model_class, rest=rest)
        return read_source(
            checkpoint,
            rest=rest,
            trust_remote_code=trust_remote_code,
            class_name=component.part.class_name,
            here=here,
        )
