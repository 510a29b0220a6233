"""Tiny pipelines, frozen ones, and what a fixed noise becomes in them, made once a session."""

from __future__ import annotations

import functools
import shutil

import pytest
import tiny_pipelines

import quantcli


@pytest.fixture(scope="session")
def pipeline_folder(tmp_path_factory):
    """Return a pipeline of a kind in a folder: shared, do not write to it."""

    @functools.cache
    def make(kind, dtype="float32"):
        return tiny_pipelines.save(kind, tmp_path_factory.mktemp("pipeline") / kind, dtype=dtype)

    return make


@pytest.fixture(scope="session")
def original(pipeline_folder):
    """Return a pipeline of a kind as diffusers loads it: shared, do not change it."""
    return functools.cache(lambda kind: tiny_pipelines.load(pipeline_folder(kind)))


@pytest.fixture(scope="session")
def frozen_pipeline(pipeline_folder, tmp_path_factory):
    """Freeze a pipeline in a weight dtype: shared, do not write to it."""

    @functools.cache
    def make(kind, weights="int8", **options):
        output = tmp_path_factory.mktemp("frozen") / f"{kind}-{weights}"
        return quantcli.quantize(pipeline_folder(kind), weights=weights, output=output, **options)

    return make


@pytest.fixture
def own_copy(tmp_path):
    """Copy a folder, to be damaged."""

    def copy(folder, name="copy"):
        return shutil.copytree(folder, tmp_path / name)

    return copy
