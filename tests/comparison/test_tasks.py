"""The records of tasks: complete, and true of transformers and of the families."""

from __future__ import annotations

import pytest

from quantcli.comparison.engine.feeding import make_family
from quantcli.comparison.engine.ways import Way
from quantcli.comparison.families.family import Family
from quantcli.comparison.metrics import ALWAYS, METRICS
from quantcli.comparison.tasks import TASKS

by_task = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)


@by_task
def test_a_task_has_a_family(task):
    family = make_family(Way(task=task))
    methods = [name for name in vars(Family) if not name.startswith("_")]
    assert methods
    assert all(callable(getattr(family, name)) for name in methods)


@by_task
def test_a_task_has_limits_for_its_samples(task):
    assert task.limits.keys() >= set(task.samples)
    assert task.calibration.keys() >= set(task.samples)
    assert set(task.outputs) <= set(task.samples)


@by_task
def test_transformers_lists_the_classes_of_a_task(task):
    from quantcli.upstream.transformers import classes_with_head

    assert not task.head or classes_with_head(task.head)


@by_task
def test_metrics_are_in_the_catalogue(task):
    assert {*task.metrics, *ALWAYS} <= {*METRICS}
    assert len({metric.name for metric in task.measured}) == len(task.measured)


def test_metrics_of_outputs_are_named_after_them():
    names = [metric.name for metric in TASKS["text-image-embedding"].measured]
    assert names[:4] == ["cosine_text", "cosine_image", "cosine_text_min", "cosine_image_min"]
    assert TASKS["outputs"].measured[0].name == "cosine_*"
