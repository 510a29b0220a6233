"""Tiny models of every layout that quantcli reads, to be damaged."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path

import tiny

import quantcli

HALVES = "300KB"
"""A shard size that makes two or more shards of every model here."""


def single(folder: Path) -> None:
    tiny.save("bert", folder)


def sharded(folder: Path) -> None:
    tiny.save("llama-untied", folder, dtype="float16", max_shard_size=HALVES)


def tied(folder: Path) -> None:
    tiny.save("bert-masked", folder, dtype="bfloat16")


def nested(folder: Path) -> None:
    """A config of configs."""
    tiny.save("clip", folder)


def experts(folder: Path) -> None:
    """Tensors that transformers merges."""
    tiny.save("mixtral", folder, dtype="float16")


def pickled(folder: Path) -> None:
    _save_bin("llama-tied", folder, shards=1)


def pickled_shards(folder: Path) -> None:
    _save_bin("bert-classifier", folder, shards=2)


def pickled_legacy(folder: Path) -> None:
    """A file from before torch 1.6: no archive."""
    _save_bin("vit", folder, shards=1, legacy=True)


def sentences(folder: Path) -> None:
    """A sentence-transformers model: files beside the weights, in folders of their own."""
    tiny.save("bert", folder)
    _write(folder / "modules.json", [_module(0, ""), _module(1, "1_Pooling")])
    pooling = {"word_embedding_dimension": 128, "pooling_mode_mean_tokens": True}
    _write(folder / "1_Pooling" / "config.json", pooling)
    _write(folder / "sentence_bert_config.json", {"max_seq_length": 64})
    _write(folder / "config_sentence_transformers.json", {"prompts": {}})
    save_tokenizer(folder)


def frozen_int8(folder: Path) -> None:
    _freeze("single", folder, "int8")


def frozen_int4_shards(folder: Path) -> None:
    _freeze("sharded", folder, "int4", max_shard_size=100_000)


def frozen_tied(folder: Path) -> None:
    _freeze("tied", folder, "int4")


def frozen_nested(folder: Path) -> None:
    _freeze("nested", folder, "int8")


def frozen_experts(folder: Path) -> None:
    _freeze("experts", folder, "float8")


TARGETS: dict[str, Callable[[Path], None]] = {
    make.__name__.replace("_", "-"): make
    for make in (
        *(single, sharded, tied, nested, experts),
        *(pickled, pickled_shards, pickled_legacy, sentences),
        *(frozen_int8, frozen_int4_shards, frozen_tied, frozen_nested, frozen_experts),
    )
}
"""Every target -> what writes it. A frozen one is made of one before it."""


def words(folder: Path) -> None:
    """A model that writes, with what says how."""
    tiny.save("llama-tied", folder)
    save_tokenizer(folder)


def pictures(folder: Path) -> None:
    """A model of texts and images, with what prepares both."""
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    tiny.save("clip", folder)
    save_tokenizer(folder)
    side = {"height": 28, "width": 28}
    CLIPImageProcessorPil(size={"shortest_edge": 28}, crop_size=side).save_pretrained(folder)


def labels(folder: Path) -> None:
    """A classifier of images, with what prepares them."""
    from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

    tiny.save("vit", folder)
    ViTImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)


def speech(folder: Path) -> None:
    """A model that hears, with what prepares sound."""
    from transformers import WhisperFeatureExtractor

    tiny.save("whisper", folder)
    save_tokenizer(folder)
    WhisperFeatureExtractor(feature_size=16, hop_length=250, chunk_length=1).save_pretrained(folder)


PAIRS: dict[str, Callable[[Path], None]] = {
    make.__name__: make for make in (sentences, words, pictures, labels, speech)
}
"""What is compared with itself frozen, in a folder called `<name>-int8` -> what writes it."""

COMPARED = tuple(name for pair in PAIRS for name in (pair, f"{pair}-int8"))
"""Targets of a comparison: either side of a pair."""


def build(root: Path) -> None:
    """Write every target into a folder of its name under `root`."""
    # By relative names, since manifests and model cards hold them: a seed damages the same bytes
    # wherever the folder lies.
    with contextlib.chdir(root):
        for name, make in {**TARGETS, **PAIRS}.items():
            make(Path(name))
        for name in PAIRS:
            _freeze(name, Path(f"{name}-int8"), "int8")


def save_tokenizer(folder: Path) -> None:
    """Write a tokenizer of words, with the ids that the tiny text models know."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]", *map(chr, range(97, 123)), "the", "cat"]
    vocabulary = {word: number for number, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=64,
    ).save_pretrained(folder)


def _save_bin(kind: str, folder: Path, *, shards: int, legacy: bool = False) -> None:
    import torch

    model = tiny.build(kind)
    folder.mkdir()
    model.config.architectures = [type(model).__name__]
    model.config.dtype = "float32"
    model.config.save_pretrained(folder)
    tensors = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    names = sorted(tensors)
    weight_map = {}
    for number in range(shards):
        file = "pytorch_model.bin"
        if shards > 1:
            file = f"pytorch_model-{number + 1:05}-of-{shards:05}.bin"
        part = {name: tensors[name] for name in names[number::shards]}
        torch.save(part, folder / file, _use_new_zipfile_serialization=not legacy)
        weight_map |= dict.fromkeys(part, file)
    if shards > 1:
        index = {"metadata": {"total_size": 0}, "weight_map": weight_map}
        _write(folder / "pytorch_model.bin.index.json", index)


def _freeze(source: str, folder: Path, weights: str, **options: int) -> None:
    quantcli.quantize(source, weights=weights, output=folder, jobs=1, **options)


def _module(number: int, path: str) -> dict[str, object]:
    kind = "Pooling" if path else "Transformer"
    return {
        "idx": number,
        "name": str(number),
        "path": path,
        "type": f"sentence_transformers.models.{kind}",
    }


def _write(path: Path, content: object) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content, indent=2), encoding="utf-8")
