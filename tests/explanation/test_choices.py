"""Which tensor is explained, and which part of it."""

from __future__ import annotations

import pytest
from hub import Hub
from messages import assert_says, refuses
from quanto_reference import payload

import quantcli
from quantcli.errors import ModelError, UsageError


def test_a_typical_weight_without_a_name(tiny_model):
    # a layer of Llama: gate, up and down each hold as much; gate comes first
    found = quantcli.explain(tiny_model("llama-untied"))
    assert found.tensor == "model.layers.0.mlp.gate_proj.weight"
    assert found.weights == "int8"
    assert (len(found.original), len(found.original[0])) == (6, 6)
    assert found.notices == ()


@pytest.mark.parametrize(
    ("name", "tensor", "notices"),
    [
        pytest.param("model.layers.1.mlp.up_proj.weight", None, 0, id="parameter"),
        pytest.param(
            "model.layers.1.mlp.up_proj", "model.layers.1.mlp.up_proj.weight", 0, id="module"
        ),
        pytest.param(
            "model.layers.1", "model.layers.1.self_attn.q_proj.weight", 1, id="with-others"
        ),
        pytest.param("*.1.*down*", "model.layers.1.mlp.down_proj.weight", 0, id="glob-of-one"),
        pytest.param("*down_proj", "model.layers.0.mlp.down_proj.weight", 1, id="glob"),
    ],
)
def test_names(tiny_model, name, tensor, notices):
    found = quantcli.explain(tiny_model("llama-untied"), name)
    assert found.tensor == (tensor or name)
    assert len(found.notices) == notices


def test_quantized_ones_come_first(tiny_model):
    found = quantcli.explain(tiny_model("llama-untied"), "*")
    assert found.tensor == "model.layers.0.self_attn.q_proj.weight"


@pytest.mark.parametrize(
    ("name", "facts", "hint"),
    [
        pytest.param(
            "model.layers.0.mlp.up_prj", "model.layers.0.mlp.up_prj", "up_proj", id="misspelt"
        ),
        pytest.param("?", "?", "model.layers.0.mlp.gate_proj.weight", id="unlike-any"),
        pytest.param(
            "model.norm.weight", "160", "model.layers.0.mlp.gate_proj.weight", id="vector"
        ),
    ],
)
def test_what_is_no_weight_matrix(tiny_model, name, facts, hint):
    with refuses(UsageError, facts) as raised:
        quantcli.explain(tiny_model("llama-untied"), name)
    assert hint in raised.value.hint


def test_a_kept_tensor_is_explained_as_if_it_were_not(tiny_model):
    folder = tiny_model("llama-untied")
    found = quantcli.explain(folder, "model.embed_tokens", weights="int4")
    assert "embeddings" in found.kept
    assert_says(found.notices[0], "model.embed_tokens.weight")
    assert (found.method, found.group_size, found.rows) == ("affine", 32, 99)
    frozen = quantcli.explain(folder, "model.embed_tokens", weights="float16")
    assert (frozen.kept, frozen.notices) == ("", ())


def test_a_tied_tensor_is_its_owner(tiny_model):
    found = quantcli.explain(tiny_model("llama-tied"), "lm_head")
    assert found.tensor == "model.embed_tokens.weight"
    assert_says(found.notices[0], "lm_head.weight", "model.embed_tokens.weight")


def test_the_largest_value_of_the_first_row_is_shown(tiny_model):
    folder = tiny_model("llama-untied")
    for weights in ("int8", "int4"):
        found = quantcli.explain(folder, weights=weights, columns=3)
        span = found.span_at(0, found.column)
        row = quantcli.explain(folder, at=(0, 0), rows=1, columns=1000).original[0]
        assert max(map(abs, found.original[0])) == max(map(abs, row))
        assert found.shown_columns[-1] in span.columns


def test_a_part_ends_where_the_weight_does(tiny_model):
    found = quantcli.explain(tiny_model("llama-untied"), "lm_head", at=(97, 155))
    assert (found.shown_rows, found.shown_columns) == (range(97, 99), range(155, 160))
    whole = quantcli.explain(tiny_model("llama-untied"), "lm_head", at=(0, 0), rows=99, columns=160)
    assert found.original == tuple(row[155:] for row in whole.original[97:])
    assert found.codes == tuple(row[155:] for row in whole.codes[97:])


def test_a_part_outside(tiny_model):
    with refuses(UsageError, ("99,0", "lm_head.weight", "99 rows", "160 columns"), hint="98,159"):
        quantcli.explain(tiny_model("llama-untied"), "lm_head", at=(99, 0))


def test_both_groups_of_a_part(tiny_model):
    found = quantcli.explain(
        tiny_model("llama-untied"), "lm_head", weights="int4", at=(3, 30), rows=1, columns=4
    )
    assert [span.columns for span in found.spans] == [range(32), range(32, 64)]
    assert found.is_grouped


def test_a_group_size_that_does_not_divide_the_row(tiny_model):
    folder = tiny_model("llama-untied")
    found = quantcli.explain(folder, "lm_head", weights="int4", group_size=64)
    assert found.group_size == 32
    assert_says(found.notices[-1], "64", "160")
    assert quantcli.explain(folder, weights="int4", group_size=16).group_size == 16


def test_what_is_quantized_already(frozen, tiny_model):
    folder = frozen("bert", "int8")
    with refuses(ModelError, str(folder), hint=str(tiny_model("bert"))):
        quantcli.explain(folder)


def test_nothing_to_quantize(tiny_model):
    folder = tiny_model("bert")
    with refuses(ModelError, "int8"):
        quantcli.explain(folder, exclude=["*"])
    found = quantcli.explain(folder, "encoder.layer.0.output.dense", exclude=["*"])
    assert "excluded" in found.kept
    assert found.codes == quantcli.explain(folder, "encoder.layer.0.output.dense").codes


@pytest.mark.parametrize("kind", ["llama-untied", "gpt2"])
def test_only_the_rows_of_a_hub_model_are_read(tiny_model, tmp_path, kind):
    folder = tiny_model(kind)
    here = quantcli.explain(folder)
    with Hub(tmp_path) as hub:
        commit = hub.add_repo("org/model", folder)
        with hub.in_process():
            found = quantcli.explain("org/model")
        sent = hub.bytes_sent
    assert (found.model, found.revision) == ("org/model", commit)
    assert found.codes == here.codes
    assert sent < payload(folder) / 2
    assert not [*tmp_path.rglob("*.safetensors")]


def test_weights_that_are_not_finite(tmp_path):
    import tiny
    from safetensors.torch import load_file, save_file

    folder = tiny.save("bert", tmp_path)
    path = folder / "model.safetensors"
    tensors = load_file(path)
    tensors["encoder.layer.0.output.dense.weight"][3, 5] = float("nan")
    save_file(tensors, path, {"format": "pt"})
    with refuses(ModelError, "encoder.layer.0.output.dense.weight"):
        quantcli.explain(folder, "encoder.layer.0.output.dense")
    assert quantcli.explain(folder, "encoder.layer.0.output.dense", at=(4, 0)).spans


def test_a_component_of_a_pipeline(tmp_path):
    import tiny_pipelines

    folder = tiny_pipelines.save("sd", tmp_path / "sd")
    found = quantcli.explain(folder, "unet.mid_block.attentions.0.proj_in")
    assert found.tensor == "unet.mid_block.attentions.0.proj_in.weight"
    assert found.kind == "Conv2d"
    assert quantcli.explain(folder).tensor.partition(".")[0] in ("text_encoder", "unet", "vae")
