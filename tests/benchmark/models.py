"""Models of real shapes with random weights, built once into a folder.

Run as a script it builds one: the benchmark itself must stay small, because a child's peak memory
starts at what its parent had in use.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CLIP_TEXT = {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12}
CLIP_VISION = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_attention_heads": 16,
    "num_hidden_layers": 24,
    "patch_size": 14,
}
CLIP = {"text_config": CLIP_TEXT, "vision_config": CLIP_VISION, "projection_dim": 768}
LLAMA = {
    "hidden_size": 2560,
    "intermediate_size": 6912,
    "num_hidden_layers": 24,
    "num_attention_heads": 20,
    "tie_word_embeddings": False,
}
MIXTRAL = {
    "hidden_size": 2048,
    "intermediate_size": 7168,
    "num_hidden_layers": 5,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "num_local_experts": 8,
    "dtype": "bfloat16",
}
LLAMA_1B = {
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "num_hidden_layers": 4,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 32000,
    "tie_word_embeddings": False,
    "dtype": "bfloat16",
}
TINY = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "vocab_size": 1000,
}
TINY_TOWERS = {"text_config": TINY, "vision_config": TINY | {"image_size": 28, "patch_size": 14}}

SHAPES = {
    "clip-l": ("CLIP", CLIP, "5GB"),  # 1,710,466,052 bytes
    "llama-8gb": ("Llama", LLAMA, "2.1GB"),  # 8.3 GB in 4 shards
    "mixtral-4gb": ("Mixtral", MIXTRAL, "2.1GB"),  # bfloat16
    "llama-1b": ("Llama", LLAMA_1B, "5GB"),  # 4 of 16 layers
    "vit-b": ("ViT", {}, "5GB"),  # ViT-B/16, the default of its config
    "vit-tiny": ("ViT", TINY | {"image_size": 32, "patch_size": 16}, "5GB"),
    "mixtral-tiny": ("Mixtral", TINY | {"num_local_experts": 4}, "200KB"),
    "clip-tiny": ("CLIP", TINY_TOWERS, "5GB"),
    "llama-tiny": ("Llama", TINY | {"tie_word_embeddings": False}, "200KB"),
}
"""Name -> family in transformers, arguments of its config, largest file."""


def model(name: str, cache: Path) -> Path:
    """Return the folder of a model, which is built where it is not there yet."""
    folder = cache / name
    if not folder.exists():
        print(f"building {name} in {cache}, once", file=sys.stderr)
        subprocess.run([sys.executable, __file__, name, str(folder)], check=True)
    # cp -r would copy a link, not what it leads to
    return folder.resolve()


def build(name: str, folder: Path) -> None:
    """Write a model with seeded random weights; the folder appears when it is complete."""
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.manual_seed(0)
    family, arguments, max_shard_size = SHAPES[name]
    config = getattr(transformers, f"{family}Config")(**arguments)
    head = "Model" if family in ("CLIP", "ViT") else "ForCausalLM"
    partial = folder.with_name(f".{folder.name}.partial")
    built = getattr(transformers, family + head)(config).to(config.dtype or torch.float32)
    built.save_pretrained(partial, max_shard_size=max_shard_size)
    partial.replace(folder)


if __name__ == "__main__":
    build(sys.argv[1], Path(sys.argv[2]))
