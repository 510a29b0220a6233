"""The options of `quantcli.load`, and what it takes for a frozen directory."""

from __future__ import annotations

import shutil
import subprocess
import sys

import freezing
import pytest

import quantcli
from quantcli.errors import ModelError, UsageError, VerificationError
from quantcli.frozen.manifest import is_frozen, read_manifest
from quantcli.frozen.verify import check


@pytest.fixture
def directory(tiny_model, freeze, tmp_path):
    return shutil.copytree(freeze(tiny_model("bert"), "int8"), tmp_path / "frozen")


def test_home_is_expanded(directory, monkeypatch):
    monkeypatch.setenv("HOME", str(directory.parent))
    freezing.assert_same(
        freezing.run(quantcli.load("~/frozen")), freezing.run(quantcli.load(directory))
    )
    with pytest.raises(UsageError, match="~nobody-at-all/x: no user nobody-at-all"):
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
    with pytest.raises(VerificationError, match=r"model\.safetensors has changed \(checksum"):
        quantcli.load(directory, verify=True)
    (directory / "quantcli.json").unlink()
    with pytest.raises(ModelError, match=r"frozen directory without quantcli\.json"):
        quantcli.load(directory, verify=True)


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_attention(directory, attention):
    model = quantcli.load(directory, attn_implementation=attention)
    assert model.config._attn_implementation == attention


def test_experts(tiny_model, freeze):
    directory = freeze(tiny_model("mixtral"), "int8")
    model = quantcli.load(directory, experts_implementation="eager")
    assert model.config._experts_implementation == "eager"


def test_max_memory(directory):
    model = quantcli.load(directory, device_map="auto", max_memory={"cpu": "1GB"})
    assert str(model.device) == "cpu"


@pytest.mark.parametrize(
    ("option", "hint"),
    [
        ("attn_implementaton", "did you mean attn_implementation?"),
        ("torch_dtype", "did you mean dtype?"),
        ("revision", "one of: device_map, dtype"),
    ],
)
def test_unknown_option(directory, option, hint):
    with pytest.raises(UsageError, match=f"load has no option {option}") as raised:
        quantcli.load(directory, **{option: "x"})
    assert raised.value.hint.startswith(hint)


def test_an_attention_that_there_is_not(directory):
    with pytest.raises(ModelError, match="attn_implementation"):
        quantcli.load(directory, attn_implementation="fast")


def test_version():
    code = "import sys, quantcli; print(quantcli.__version__, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == f"{quantcli.__version__} False\n"
    assert quantcli.__version__[0].isdigit()


def test_all_agree_on_what_is_frozen(directory, tiny_model, tmp_path):
    """A manifest or a section makes a directory frozen; what is missing is then named."""
    assert is_frozen(directory)
    without = shutil.copytree(directory, tmp_path / "without")
    (without / "quantcli.json").unlink()
    assert is_frozen(without)
    quantcli.load(without)
    for use in (quantcli.size, check, read_manifest):
        with pytest.raises(ModelError, match="frozen directory without") as raised:
            use(without)
        assert "quantcli.json" in str(raised.value)
    bert = tiny_model("bert")
    with pytest.raises(ModelError, match="frozen directory without"):
        quantcli.compare(bert, without)
    with pytest.raises(ModelError, match="already a frozen directory"):
        quantcli.plan(without)
    original = shutil.copytree(bert, tmp_path / "original")
    assert not is_frozen(original)
    shutil.copy(original / "config.json", directory / "config.json")
    with pytest.raises(ModelError, match="has no quantization_config written by quantcli"):
        quantcli.load(directory)
