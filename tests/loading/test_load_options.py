"""The options of `quantcli.load`, and what it takes for a frozen directory."""

from __future__ import annotations

import shutil
import subprocess
import sys

import freezing
import pytest
from messages import assert_silent, refuses

import quantcli
from quantcli.errors import ModelError, UsageError, VerificationError
from quantcli.frozen.manifest import is_frozen, read_manifest
from quantcli.frozen.verify import check


@pytest.fixture
def directory(frozen, tmp_path):
    return shutil.copytree(frozen("bert", "int8"), tmp_path / "frozen")


def test_home_is_expanded(directory, monkeypatch):
    monkeypatch.setenv("HOME", str(directory.parent))
    freezing.assert_same(
        freezing.run(quantcli.load("~/frozen")), freezing.run(quantcli.load(directory))
    )
    with refuses(UsageError, "~nobody-at-all/x", "user nobody-at-all"):
        quantcli.load("~nobody-at-all/x")


def test_verify(directory):
    quantcli.load(directory, verify=True)
    (directory / "notes.txt").write_text("no fault")
    quantcli.load(directory, verify=True)
    path = directory / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    quantcli.load(directory)
    with refuses(VerificationError, "model.safetensors", "checksum"):
        quantcli.load(directory, verify=True)
    (directory / "quantcli.json").unlink()
    with refuses(ModelError, str(directory), "quantcli.json"):
        quantcli.load(directory, verify=True)


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_attention(directory, attention):
    model = quantcli.load(directory, attn_implementation=attention)
    assert model.config._attn_implementation == attention


def test_experts(frozen):
    directory = frozen("mixtral", "int8")
    model = quantcli.load(directory, experts_implementation="eager")
    assert model.config._experts_implementation == "eager"


def test_max_memory(directory):
    model = quantcli.load(directory, device_map="auto", max_memory={"cpu": "1GB"})
    assert str(model.device) == "cpu"


@pytest.mark.parametrize(
    ("option", "named", "silent"),
    [
        ("attn_implementaton", "attn_implementation", "dtype"),
        ("torch_dtype", "dtype", "attn_implementation"),
        ("revision", ("device_map", "dtype", "attn_implementation"), ()),
    ],
)
def test_unknown_option(directory, option, named, silent):
    with refuses(UsageError, option, hint=named) as raised:
        quantcli.load(directory, **{option: "x"})
    assert_silent(raised.value.hint, silent)


def test_an_attention_that_there_is_not(directory):
    with refuses(ModelError, "attn_implementation"):
        quantcli.load(directory, attn_implementation="fast")


def test_version():
    code = "import sys, quantcli; print(quantcli.__version__, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == f"{quantcli.__version__} False\n"
    assert quantcli.__version__[0].isdigit()


def test_all_agree_on_what_is_frozen(tiny_model, directory, tmp_path):
    """A manifest or a section makes a directory frozen; what is missing is then named."""
    assert is_frozen(directory)
    without = shutil.copytree(directory, tmp_path / "without")
    (without / "quantcli.json").unlink()
    assert is_frozen(without)
    quantcli.load(without)
    for use in (quantcli.size, check, read_manifest):
        with refuses(ModelError, str(without), "quantcli.json"):
            use(without)
    bert = tiny_model("bert")
    with refuses(ModelError, str(without), "quantcli.json"):
        quantcli.compare(bert, without)
    with refuses(ModelError, str(without), "frozen"):
        quantcli.plan(without)
    original = shutil.copytree(bert, tmp_path / "original")
    assert not is_frozen(original)
    shutil.copy(original / "config.json", directory / "config.json")
    with refuses(ModelError, str(directory / "config.json"), "quantization_config"):
        quantcli.load(directory)
