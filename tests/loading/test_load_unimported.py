"""A frozen directory where nobody imports quantcli: it loads if quantcli is installed, else never.

Installed means that Python finds its metadata. The tests write that from pyproject.toml into a
folder of their own, so they need no new installation after a change of the entry point.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import freezing
import pytest
import torch
import transformers

ROOT = Path(__file__).parents[2]

LOAD = """
import sys, torch, transformers
torch.manual_seed(0)
model = getattr(transformers, sys.argv[3]).from_pretrained(sys.argv[1]).eval()
tokens = torch.arange(12).reshape(2, 6) + 3
with torch.no_grad():
    torch.save(model(tokens)[0], sys.argv[2])
"""

ENCODE = """
import sys, torch
from sentence_transformers import SentenceTransformer
model = SentenceTransformer(sys.argv[1], device="cpu")
torch.save(model.encode(["A frozen model."], convert_to_tensor=True), sys.argv[2])
"""

BLOCK = """
import sys
class Missing:
    def find_spec(self, name, path, target=None):
        if name.split(".")[0] == "quantcli":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with quantcli's metadata, as an installer writes it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    folder = tmp_path_factory.mktemp("site")
    metadata = folder / f"quantcli-{project['version']}.dist-info"
    metadata.mkdir()
    head = f"Metadata-Version: 2.4\nName: quantcli\nVersion: {project['version']}\n"
    (metadata / "METADATA").write_text(head)
    lines = []
    for group, entries in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in entries.items())]
    (metadata / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return folder


def python(code, *arguments, **environment):
    command = [sys.executable, "-c", code, *map(str, arguments)]
    given = os.environ | {"PYTHONPATH": str(ROOT)} | environment
    return subprocess.run(command, check=False, capture_output=True, text=True, env=given)


def with_metadata(folder):
    return {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}


@pytest.mark.parametrize(
    ("kind", "weights", "auto"),
    [
        ("bert", "int8", "AutoModel"),
        ("bert", "int4", "BertModel"),
        ("llama-tied", "int8", "AutoModelForCausalLM"),
    ],
)
def test_installed_but_not_imported(frozen, installed, tmp_path, kind, weights, auto):
    directory, model = frozen(kind, weights)
    output = tmp_path / "output.pt"
    done = python(LOAD, directory, output, auto, **with_metadata(installed))
    assert done.returncode == 0, done.stderr
    with torch.no_grad():
        assert torch.equal(torch.load(output), model(torch.arange(12).reshape(2, 6) + 3)[0])


def test_sentence_transformer_without_an_import(minilm, freeze, installed, tmp_path):
    from sentence_transformers import SentenceTransformer

    directory = freeze(minilm, "int8")
    output = tmp_path / "output.pt"
    done = python(ENCODE, directory, output, **with_metadata(installed))
    assert done.returncode == 0, done.stderr
    encode = SentenceTransformer(str(directory), device="cpu").encode
    assert torch.allclose(torch.load(output), torch.tensor(encode(["A frozen model."])), atol=1e-6)


@pytest.mark.parametrize(
    "first",
    [
        pytest.param("import transformers.quantizers.auto", id="auto-imports-torch"),
        pytest.param("import transformers.models.bert.modeling_bert", id="model-imports-torch"),
        pytest.param("import quantcli, torch, transformers", id="imported-too"),
        pytest.param("import torch, sys; assert 'quantcli' in sys.modules", id="torch-first"),
    ],
)
def test_every_order_of_imports(frozen, installed, tmp_path, first):
    directory, _ = frozen("bert", "int8")
    output = tmp_path / "output.pt"
    done = python(f"{first}\n{LOAD}", directory, output, "AutoModel", **with_metadata(installed))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("code", "kind"),
    [(LOAD, "bert"), (LOAD, "clip"), (LOAD, "t5-untied"), (ENCODE, "bert")],
    ids=["bert", "clip", "t5", "sentence-transformers"],
)
def test_an_error_where_quantcli_is_missing(frozen, tmp_path, code, kind):
    directory, _ = frozen(kind, "int8")
    output = tmp_path / "output.pt"
    done = python(BLOCK + code, directory, output, "AutoModel", TORCH_DEVICE_BACKEND_AUTOLOAD="0")
    assert done.returncode != 0
    assert "no `quant_method` attribute" in done.stderr
    assert not output.exists()


@pytest.mark.parametrize("tower", ["CLIPTextModel", "CLIPVisionModel"])
def test_an_error_for_a_part_too(tiny_model, tmp_path, tower):
    import quantcli

    directory = quantcli.quantize(tiny_model("clip"), output=tmp_path / "clip").output
    output = tmp_path / "output.pt"
    isolated = {"TORCH_DEVICE_BACKEND_AUTOLOAD": "0"}
    done = python(BLOCK + LOAD, directory, output, tower, **isolated)
    assert done.returncode != 0
    assert "no `quant_method` attribute" in done.stderr


def test_version_1_still_loads(frozen, tmp_path):
    import shutil

    import quantcli

    source, model = frozen("bert", "int4")
    directory = shutil.copytree(source, tmp_path / "frozen")
    config = json.loads((directory / "config.json").read_text())
    section = config["quantization_config"]
    del section["requires"]
    section |= {"quant_method": "quantcli", "version": 1}
    (directory / "config.json").write_text(json.dumps(config))
    freezing.assert_same(freezing.run(quantcli.load(directory)), freezing.run(model))
    loaded = transformers.AutoModel.from_pretrained(directory)
    freezing.assert_same(freezing.run(loaded), freezing.run(model))


BROKEN = """
import sys
import quantcli.loading.registration as registration
def fail(): raise RuntimeError("broken")
registration.install = fail
import torch
"""


def test_torch_is_imported_whatever_happens(installed):
    assert python(BROKEN, **with_metadata(installed)).returncode == 0


SHORT = """
import sys
from types import ModuleType
from quantcli.loading.registration import _wrap
_wrap(ModuleType("transformers.quantizers.auto"))
"""


def test_another_transformers_is_no_error():
    assert python(SHORT).returncode == 0


TIME = """
import sys, time
import torch
for name in [name for name in sys.modules if name.split(".")[0] == "quantcli"]:
    del sys.modules[name]
sys.meta_path = [each for each in sys.meta_path if "quantcli" not in type(each).__module__]
start = time.perf_counter()
from quantcli.loading.registration import autoload
autoload()
print(time.perf_counter() - start)
"""


def test_import_of_torch_is_hardly_slower():
    start = time.perf_counter()
    seconds = min(float(python(TIME).stdout) for _ in range(2))
    assert seconds < 0.02 < time.perf_counter() - start
