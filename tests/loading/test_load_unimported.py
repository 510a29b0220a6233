"""A frozen directory where nobody imports quantcli: it loads if quantcli is installed, else never.

Installed means that Python finds its metadata. The tests write that from pyproject.toml into a
folder of their own, so they need no new installation after a change of the entry point.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import freezing
import interpreters
import pytest
import torch
import transformers

import quantcli

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


@pytest.fixture(scope="module")
def torch_first(installed):
    """Start processes that have imported torch, then transformers, where quantcli is installed."""
    paths = f"{installed}{os.pathsep}{ROOT}"
    with interpreters.start(interpreters.TRANSFORMERS, PYTHONPATH=paths) as made:
        yield made


def run_alone(code, *arguments, installed=None):
    """Run code in an interpreter that has imported nothing."""
    paths = [str(path) for path in (installed, ROOT) if path]
    given = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, check=False, capture_output=True, text=True, env=given)


TOKENS = torch.arange(12).reshape(2, 6) + 3


@pytest.mark.parametrize(
    ("kind", "weights", "auto"),
    [
        ("bert", "int8", "AutoModel"),
        ("bert", "int4", "BertModel"),
        ("llama-tied", "int8", "AutoModelForCausalLM"),
    ],
)
def test_installed_but_not_imported(frozen, in_memory, torch_first, tmp_path, kind, weights, auto):
    output = tmp_path / "output.pt"
    done = torch_first.run(LOAD, frozen(kind, weights), output, auto)
    assert done.returncode == 0, done.stderr
    with torch.no_grad():
        assert torch.equal(torch.load(output), in_memory(kind, weights)(TOKENS)[0])


def test_sentence_transformer_without_an_import(freeze, torch_first, minilm, tmp_path):
    from sentence_transformers import SentenceTransformer

    directory = freeze(minilm, "int8")
    output = tmp_path / "output.pt"
    done = torch_first.run(ENCODE, directory, output)
    assert done.returncode == 0, done.stderr
    encode = SentenceTransformer(str(directory), device="cpu").encode
    assert torch.allclose(torch.load(output), torch.tensor(encode(["A frozen model."])), atol=1e-6)


def test_torch_first(frozen, torch_first, tmp_path):
    known = "import torch, sys; assert 'quantcli' in sys.modules\n"
    done = torch_first.run(
        known + LOAD, frozen("bert", "int8"), tmp_path / "output.pt", "AutoModel"
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "first",
    [
        pytest.param("import transformers.quantizers.auto", id="auto-imports-torch"),
        pytest.param("import transformers.models.bert.modeling_bert", id="model-imports-torch"),
        pytest.param("import quantcli, torch, transformers", id="imported-too"),
    ],
)
def test_every_other_order_of_imports(frozen, installed, tmp_path, first):
    output, code = tmp_path / "output.pt", f"{first}\n{LOAD}"
    done = run_alone(code, frozen("bert", "int8"), output, "AutoModel", installed=installed)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("kind", "code", "auto"),
    [
        pytest.param("bert", LOAD, "AutoModel", id="bert"),
        pytest.param("clip", LOAD, "AutoModel", id="clip"),
        pytest.param("clip", LOAD, "CLIPTextModel", id="clip-text"),
        pytest.param("clip", LOAD, "CLIPVisionModel", id="clip-vision"),
        pytest.param("t5-untied", LOAD, "AutoModel", id="t5"),
        pytest.param("bert", ENCODE, "", id="sentence-transformers"),
    ],
)
def test_an_error_where_quantcli_is_missing(
    frozen, transformers_python, tmp_path, code, kind, auto
):
    output = tmp_path / "output.pt"
    done = transformers_python.run(BLOCK + code, frozen(kind, "int8"), output, auto)
    assert done.returncode != 0
    assert "no `quant_method` attribute" in done.stderr
    assert not output.exists()


def test_version_1_still_loads(frozen, in_memory, tmp_path):
    directory = shutil.copytree(frozen("bert", "int4"), tmp_path / "frozen")
    config = json.loads((directory / "config.json").read_text())
    section = config["quantization_config"]
    del section["requires"]
    section |= {"quant_method": "quantcli", "version": 1}
    (directory / "config.json").write_text(json.dumps(config))
    expected = freezing.run(in_memory("bert", "int4"))
    freezing.assert_same(freezing.run(quantcli.load(directory)), expected)
    loaded = transformers.AutoModel.from_pretrained(directory)
    freezing.assert_same(freezing.run(loaded), expected)


BROKEN = """
import sys
import quantcli.loading.registration as registration
def fail(): raise RuntimeError("broken")
registration.install = fail
import torch
"""


def test_torch_is_imported_whatever_happens(installed):
    assert run_alone(BROKEN, installed=installed).returncode == 0


SHORT = """
import sys
from types import ModuleType
from quantcli.loading.registration import _wrap
_wrap(ModuleType("transformers.quantizers.auto"))
"""


def test_another_transformers_is_no_error():
    assert run_alone(SHORT).returncode == 0


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


def test_import_of_torch_is_hardly_slower(python):
    seconds = min(float(python.run(TIME).stdout) for _ in range(3))
    assert 0 < seconds < 0.02
