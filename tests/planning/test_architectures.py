"""Plans of many architectures at their default size, from names and shapes alone.

The checkpoint is what `save_pretrained` would write: transformers' own conversions, reverted on
the meta device. Planning it must find every tensor again, and never make a model larger.
"""

from __future__ import annotations

import json

import pytest
import torch
import transformers
from transformers.core_model_loading import revert_weight_conversion
from transformers.utils.generic import ContextManagers

from quantcli.checkpoint import TensorRecord
from quantcli.planning import make_plan, read_source
from quantcli.recipe import Recipe

ARCHITECTURES = [
    pytest.param("BartForConditionalGeneration", 0.8, id="bart"),
    pytest.param("BertForMaskedLM", 0.75, id="bert"),
    pytest.param("BitModel", 0.0, id="bit"),
    pytest.param("CLIPModel", 0.8, id="clip"),
    pytest.param("DeepseekV3ForCausalLM", 0.0, id="deepseek-v3"),
    pytest.param("Dinov2Model", 0.9, id="dinov2"),
    pytest.param("FalconForCausalLM", 0.9, id="falcon"),
    pytest.param("GPT2LMHeadModel", 0.0, id="gpt2"),
    pytest.param("GptOssForCausalLM", 0.0, id="gpt-oss"),
    pytest.param("LlamaForCausalLM", 0.9, id="llama"),
    pytest.param("LlavaForConditionalGeneration", 0.9, id="llava"),
    pytest.param("MixtralForCausalLM", 0.0, id="mixtral"),
    pytest.param("Phi3ForCausalLM", 0.9, id="phi3"),
    pytest.param("Qwen2_5_VLForConditionalGeneration", 0.8, id="qwen2.5-vl"),
    pytest.param("ResNetForImageClassification", 0.9, id="resnet"),
    pytest.param("SiglipModel", 0.7, id="siglip"),
    pytest.param("T5ForConditionalGeneration", 0.6, id="t5"),
    pytest.param("Wav2Vec2ForCTC", 0.9, id="wav2vec2"),
    pytest.param("WhisperForConditionalGeneration", 0.4, id="whisper"),
    pytest.param("ZambaForCausalLM", 0.0, id="zamba"),
]


class SavedCheckpoint:
    """What is known of a checkpoint before a weight is read."""

    revision = "0" * 40
    index_metadata = None
    has_code = False

    def __init__(self, config, tensors, folder):
        self.model = config["model_type"]
        self.config = config
        self.tensors = tensors
        self._folder = folder

    def folder(self):
        return self._folder


def save(name, folder):
    """Return the checkpoint that saving a model of this class would make."""
    kind = getattr(transformers, name)
    with ContextManagers(kind.get_init_context(torch.float32, False, False, None)):
        model = kind(kind.config_class())
    tied = model.all_tied_weights_keys
    state = {key: value for key, value in model.state_dict().items() if key not in tied}
    records, offset = {}, 0
    for key, value in revert_weight_conversion(model, state).items():
        records[key] = TensorRecord(
            name=key,
            file="model.safetensors",
            dtype=str(value.dtype).removeprefix("torch."),
            shape=tuple(value.shape),
            offset=offset,
            nbytes=value.nbytes,
        )
        offset += value.nbytes
    config = model.config.to_dict() | {"architectures": [name], "dtype": "float32"}
    (folder / "config.json").write_text(json.dumps(config))
    return SavedCheckpoint(config, records, folder)


@pytest.mark.parametrize(("name", "coverage"), ARCHITECTURES)
def test_every_tensor_is_found_again(tmp_path, name, coverage):
    checkpoint = save(name, tmp_path)
    source = read_source(checkpoint, here=False)
    assert not [key for key in source.unexpected if not source.skeleton.expected_elsewhere(key)]
    plan = make_plan(Recipe(), source, max_shard_size=5 * 10**9)
    assert plan.coverage >= coverage
    assert plan.nbytes <= plan.original_bytes
    used = {key for tensor in plan.tensors for key in tensor.sources}
    assert used == set(checkpoint.tensors) - set(source.unexpected)
