"""A model whose code comes with it is quantized and loaded where its code is trusted."""

from __future__ import annotations

import json

import pytest
import torch
from messages import refuses
from safetensors.torch import save_file

import quantcli
from quantcli import ModelError
from quantcli.cli import main

CONFIGURATION = """
from transformers import PretrainedConfig


class QuuxConfig(PretrainedConfig):
    model_type = "quux"

    def __init__(self, width=64, **rest):
        self.width = width
        super().__init__(**rest)
"""

MODELING = """
import torch
from messages import refuses
from transformers import PreTrainedModel

from .configuration_quux import QuuxConfig


class QuuxModel(PreTrainedModel):
    config_class = QuuxConfig

    def __init__(self, config):
        super().__init__(config)
        self.up = torch.nn.Linear(config.width, 128)
        self.down = torch.nn.Linear(128, config.width)
        self.post_init()

    def forward(self, x):
        return self.down(torch.relu(self.up(x)))
"""

CONFIG = {
    "model_type": "quux",
    "architectures": ["QuuxModel"],
    "width": 64,
    "dtype": "float32",
    "auto_map": {
        "AutoConfig": "configuration_quux.QuuxConfig",
        "AutoModel": "modeling_quux.QuuxModel",
    },
}


@pytest.fixture
def quux(tmp_path):
    folder = tmp_path / "quux"
    folder.mkdir()
    (folder / "configuration_quux.py").write_text(CONFIGURATION)
    (folder / "modeling_quux.py").write_text(MODELING)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    tensors = {
        "up.weight": torch.randn(128, 64),
        "up.bias": torch.randn(128),
        "down.weight": torch.randn(64, 128),
        "down.bias": torch.randn(64),
    }
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def test_untrusted_code_is_not_run(quux, tmp_path):
    with refuses(ModelError, "QuuxModel", str(quux), "code", hint="--trust-remote-code"):
        quantcli.quantize(quux, output=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_trusted_code_is(quux, tmp_path):
    frozen = quantcli.quantize(quux, trust_remote_code=True, output=tmp_path / "out")
    assert {tensor.module for tensor in frozen.plan.quantized} == {"up", "down"}
    model = quantcli.load(frozen, trust_remote_code=True)
    example = torch.randn(3, 64)
    up, down = (model.get_submodule(name) for name in ("up", "down"))
    expected = torch.relu(example @ up.weight.dequantize().t() + up.bias)
    expected = expected @ down.weight.dequantize().t() + down.bias
    with torch.no_grad():
        assert torch.allclose(model(example), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("file", "code", "says"),
    [
        pytest.param("modeling", "raise ValueError('boom')", "boom", id="raises"),
        pytest.param("modeling", "def (", "invalid syntax", id="syntax"),
        pytest.param("modeling", "raise SystemExit(3)", "SystemExit: 3", id="exits"),
        pytest.param("modeling", "import nowhere_to_be_found", "nowhere_to_be_found", id="package"),
        pytest.param("modeling", "class Other: ...", "no attribute 'QuuxModel'", id="no class"),
        pytest.param("modeling", None, "modeling_quux.py", id="no file"),
        pytest.param("configuration", "1 / 0", "division by zero", id="configuration"),
        pytest.param("configuration", None, "configuration_quux.py", id="no configuration"),
    ],
)
def test_code_that_fails(quux, tmp_path, capsys, file, code, says):
    path = quux / f"{file}_quux.py"
    path.unlink() if code is None else path.write_text(code)
    out = str(tmp_path / "out")
    assert main(["quantize", str(quux), "-o", out, "--trust-remote-code", "-q"]) == 3
    error, hint = capsys.readouterr().err.splitlines()
    assert error.startswith(f"error: cannot build QuuxModel of {quux}")
    assert says in error
    assert hint.startswith("hint: ")
    assert [path.name for path in tmp_path.iterdir()] == ["quux"]


def test_by_command(quux, tmp_path, capsys):
    out = str(tmp_path / "out")
    assert main(["quantize", str(quux), "-o", out, "--trust-remote-code", "-q"]) == 0
    assert (tmp_path / "out" / "modeling_quux.py").read_text() == MODELING
    assert capsys.readouterr().err == ""


def test_a_class_of_the_code_that_is_no_model(quux, capsys):
    options = ["--class", "QuuxConfig", "--trust-remote-code"]
    assert main(["quantize", str(quux), "--dry-run", *options]) == 3
    assert capsys.readouterr().err.startswith(f"error: cannot build QuuxModel of {quux}")


EVERYTHING = """
import torch
from messages import refuses
from torch.nn.utils.parametrizations import weight_norm
from transformers import PreTrainedModel

from .configuration_quux import QuuxConfig


class QuuxExperts(torch.nn.Module):
    def __init__(self, width):
        super().__init__()
        self.up = torch.nn.Parameter(torch.zeros(3, 2 * width, width))
        self.down = torch.nn.Parameter(torch.zeros(3, width, 2 * width))

    def forward(self, x):
        parts = [(x @ self.up[e].t()).relu() @ self.down[e].t() for e in range(3)]
        return torch.stack(parts).mean(0)


class QuuxEmbedding(torch.nn.Embedding):
    def forward(self, ids):
        return super().forward(ids) * 3


class QuuxLinear(torch.nn.Linear):
    def forward(self, x):
        return torch.nn.functional.linear(x, self.weight - self.weight.mean(), self.bias)


class QuuxModel(PreTrainedModel):
    config_class = QuuxConfig
    _tied_weights_keys = {"head.weight": "table.weight"}

    def __init__(self, config):
        super().__init__(config)
        self.table = QuuxEmbedding(50, config.width)
        self.mix = weight_norm(torch.nn.Conv1d(config.width, config.width, 3, padding=1))
        self.experts = QuuxExperts(config.width)
        self.recur = torch.nn.LSTM(config.width, config.width, batch_first=True)
        self.centred = QuuxLinear(config.width, config.width)
        self.head = torch.nn.Linear(config.width, 50, bias=False)
        self.post_init()

    def _init_weights(self, module):
        for parameter in module.parameters(recurse=False):
            torch.nn.init.normal_(parameter, std=0.1)

    def get_input_embeddings(self):
        return self.table

    def get_output_embeddings(self):
        return self.head

    def forward(self, ids):
        x = self.table(ids)
        x = x + self.mix(x.transpose(1, 2)).transpose(1, 2)
        x = x + self.experts(x)
        x = x + self.recur(x)[0]
        return self.head(x + self.centred(x))
"""


@pytest.fixture
def everything(quux, tmp_path):
    """Save a model of its own code with modules of every kind, and a tied head."""
    from transformers import AutoConfig, AutoModel

    for name in ("configuration_quux.py", "modeling_quux.py"):
        (tmp_path / name).unlink(missing_ok=True)
    (quux / "modeling_quux.py").write_text(EVERYTHING)
    config = json.dumps(CONFIG | {"tie_word_embeddings": True})
    (quux / "config.json").write_text(config)
    torch.manual_seed(0)
    made = AutoModel.from_config(
        AutoConfig.from_pretrained(quux, trust_remote_code=True), trust_remote_code=True
    )
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    made.save_pretrained(quux)
    (quux / "config.json").write_text(config)
    return quux


@pytest.mark.parametrize("weights", ["int8", "int4"])
def test_every_kind_of_module_in_code_of_its_own(everything, tmp_path, weights):
    from transformers import AutoModel

    out = tmp_path / "out"
    with refuses(ModelError, "QuuxModel", hint="--trust-remote-code"):
        quantcli.quantize(everything, output=out)
    options = {"trust_remote_code": True, "weights": weights, "embeddings": weights}
    frozen = quantcli.quantize(everything, output=out, **options)
    assert {tensor.kind for tensor in frozen.plan.quantized} == {
        "LSTM",
        "ParametrizationList",
        "QuuxEmbedding",
        "QuuxExperts",
        "QuuxLinear",
    }
    assert frozen.plan.coverage > 0.99
    original = AutoModel.from_pretrained(everything, trust_remote_code=True).eval()
    loaded = quantcli.load(frozen, trust_remote_code=True)
    ids = torch.arange(20).reshape(2, 10)
    with torch.no_grad():
        expected, found = original(ids).flatten(), loaded(ids).flatten()
    cosine = torch.nn.functional.cosine_similarity(expected, found, dim=0)
    assert cosine > (0.999 if weights == "int8" else 0.95)
    with refuses(ModelError, "QuuxModel", hint="trust_remote_code=True"):
        quantcli.load(frozen)
