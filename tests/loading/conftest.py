"""Frozen directories made by plain Quanto, in memory."""

from __future__ import annotations

import copy
import json

import pytest
import torch


def freeze_plainly(model, weights, *, include=None, exclude=None):
    """Quantize and freeze as plain Quanto does."""
    from optimum.quanto import freeze, qtypes, quantize

    from quantcli.dtypes import QTYPES
    from quantcli.qmodules import use_torch_unpack

    use_torch_unpack()
    quantize(model, weights=qtypes[QTYPES[weights]], include=include, exclude=exclude)
    freeze(model)
    return model.eval()


def describe(model):
    """The `modules` of the config of a frozen directory."""
    from optimum.quanto import QModuleMixin

    return {
        name: {"weights": module.weight_qtype.name, "group_size": module.weight_group_size}
        for name, module in model.named_modules()
        if isinstance(module, QModuleMixin)
    }


def write_frozen(model, directory, *, weights, untied=(), computed=(), shards=1, qmap=False):
    """Write a frozen directory of a model that plain Quanto froze."""
    from optimum.quanto import quantization_map
    from safetensors.torch import save_file

    directory.mkdir(parents=True, exist_ok=True)
    config = copy.deepcopy(model.config)
    config.architectures = [type(model).__name__]
    config.dtype = model.dtype
    content = json.loads(config.to_json_string(use_diff=False))
    content["quantization_config"] = {
        "quant_method": "quantcli",
        "version": 1,
        "weights": weights,
        "modules": describe(model),
        "untied": list(untied),
        "computed": list(computed),
    }
    (directory / "config.json").write_text(json.dumps(content))
    dropped = {*model.all_tied_weights_keys, *computed} - set(untied)
    tensors = {
        name: tensor.contiguous()
        for name, tensor in model.state_dict().items()
        if name not in dropped
    }
    names = sorted(tensors)
    index = {}
    for number in range(shards):
        file = "model.safetensors"
        if shards > 1:
            file = f"model-{number + 1:05}-of-{shards:05}.safetensors"
        shard = {name: tensors[name] for name in names[number::shards]}
        save_file(shard, directory / file, metadata={"format": "pt"})
        index |= dict.fromkeys(shard, file)
    if shards > 1:
        (directory / "model.safetensors.index.json").write_text(
            json.dumps({"metadata": {}, "weight_map": index})
        )
    if qmap:
        (directory / "quanto_qmap.json").write_text(json.dumps(quantization_map(model)))
    return directory


def tiny_bert(kind="BertForSequenceClassification", **options):
    import transformers

    config = transformers.BertConfig(
        hidden_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=256,
        vocab_size=99,
        max_position_embeddings=32,
        **options,
    )
    return getattr(transformers, kind)(config)


def tiny_llama(*, tied=False):
    import transformers

    config = transformers.LlamaConfig(
        hidden_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        intermediate_size=256,
        vocab_size=99,
        max_position_embeddings=64,
        tie_word_embeddings=tied,
    )
    return transformers.LlamaForCausalLM(config)


def tiny_t5():
    import transformers

    config = transformers.T5Config(
        d_model=128, d_kv=32, d_ff=256, num_layers=2, num_heads=2, vocab_size=99
    )
    return transformers.T5ForConditionalGeneration(config)


def tiny_clip():
    import transformers

    sizes = {
        "hidden_size": 128,
        "intermediate_size": 256,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }
    config = transformers.CLIPConfig(
        text_config={**sizes, "vocab_size": 99, "max_position_embeddings": 16},
        vision_config={**sizes, "image_size": 32, "patch_size": 8},
        projection_dim=64,
    )
    return transformers.CLIPModel(config)


def tiny_vit():
    import transformers

    config = transformers.ViTConfig(
        hidden_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=256,
        image_size=32,
        patch_size=8,
        num_labels=3,
    )
    return transformers.ViTForImageClassification(config)


def tiny_resnet():
    import transformers

    config = transformers.ResNetConfig(
        embedding_size=16, hidden_sizes=[32, 64], depths=[1, 1], num_labels=3
    )
    return transformers.ResNetForImageClassification(config)


IDS = torch.arange(12).reshape(2, 6) + 3

INPUTS = {
    "bert": lambda dtype: {"input_ids": IDS},
    "llama": lambda dtype: {"input_ids": IDS},
    "t5": lambda dtype: {"input_ids": IDS, "decoder_input_ids": IDS[:, :3]},
    "clip": lambda dtype: {
        "input_ids": IDS,
        "pixel_values": torch.linspace(-1, 1, 2 * 3 * 32 * 32).reshape(2, 3, 32, 32).to(dtype),
    },
    "vit": lambda dtype: {
        "pixel_values": torch.linspace(-1, 1, 2 * 3 * 32 * 32).reshape(2, 3, 32, 32).to(dtype)
    },
    "resnet": lambda dtype: {
        "pixel_values": torch.linspace(-1, 1, 2 * 3 * 32 * 32).reshape(2, 3, 32, 32).to(dtype)
    },
}


def run(model, family):
    """The tensors that a model makes of its family's input."""
    with torch.no_grad():
        output = model(**INPUTS[family](model.dtype))
    return {name: value for name, value in output.items() if isinstance(value, torch.Tensor)}


def assert_same(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name in ours:
        assert ours[name].dtype == theirs[name].dtype, name
        assert torch.equal(ours[name], theirs[name]), name


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)
