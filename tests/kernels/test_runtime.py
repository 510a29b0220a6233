"""How a model computes: what is asked for, else the environment, else the directory."""

from __future__ import annotations

import pytest
from messages import refuses

from quantcli.errors import UsageError
from quantcli.kernels import QUANTO, Runtime


@pytest.mark.parametrize(
    ("section", "environment", "asked", "expected"),
    [
        pytest.param({}, {}, {}, Runtime(), id="nothing said"),
        pytest.param({"kernels": "quanto"}, {}, {}, QUANTO, id="directory"),
        pytest.param(
            {"kernels": "quanto"},
            {"QUANTCLI_KERNELS": "auto"},
            {},
            Runtime(),
            id="environment over directory",
        ),
        pytest.param(
            {"runtime_activations": "int8"},
            {"QUANTCLI_RUNTIME_ACTIVATIONS": "none"},
            {},
            Runtime(),
            id="none is a choice",
        ),
        pytest.param(
            {},
            {"QUANTCLI_KERNELS": "auto"},
            {"kernels": "quanto", "activations": "int8"},
            Runtime(kernels="quanto", activations="int8"),
            id="asked over environment",
        ),
        pytest.param({}, {"QUANTCLI_KERNELS": ""}, {}, Runtime(), id="empty is not set"),
    ],
)
def test_who_decides(section, environment, asked, expected):
    assert Runtime.decide(section, environment=environment, **asked) == expected


def test_what_is_unknown():
    with refuses(UsageError, "qanto", hint="quanto"):
        Runtime.decide({}, kernels="qanto")
    environment = {"QUANTCLI_RUNTIME_ACTIVATIONS": "int9"}
    with refuses(UsageError, ("int9", "QUANTCLI_RUNTIME_ACTIVATIONS"), hint="int8"):
        Runtime.decide({}, environment=environment)


def test_a_section_says_what_is_not_the_default():
    assert Runtime().to_section() == {}
    runtime = Runtime(kernels="quanto", activations="int8")
    assert runtime.to_section() == {"kernels": "quanto", "runtime_activations": "int8"}
    assert Runtime.decide(runtime.to_section(), environment={}) == runtime
    assert str(runtime) == "quanto kernels, int8 activations"
