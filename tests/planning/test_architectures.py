"""Plans of many architectures at their default size, from names and shapes alone.

The checkpoint is what `save_pretrained` would write: transformers' own conversions, reverted on
the meta device. Planning it must find every tensor again, and never make a model larger.
"""

from __future__ import annotations

import pytest
import transformers
from zoo.saved import build, save

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


@pytest.mark.parametrize(("name", "coverage"), ARCHITECTURES)
def test_every_tensor_is_found_again(tmp_path, name, coverage):
    kind = getattr(transformers, name)
    checkpoint = save(build(kind, kind.config_class()), tmp_path)
    source = read_source(checkpoint, here=False)
    assert not [key for key in source.unexpected if not source.skeleton.expected_elsewhere(key)]
    plan = make_plan(Recipe(), source, max_shard_size=5 * 10**9)
    assert plan.coverage >= coverage
    assert plan.nbytes <= plan.original_bytes
    used = {key for tensor in plan.tensors for key in tensor.sources}
    assert used == set(checkpoint.tensors) - set(source.unexpected)
