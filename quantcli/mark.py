"""What tells a frozen directory from any other folder: the mark in its config, its manifest."""

from __future__ import annotations

from typing import Any

MANIFEST = "quantcli.json"
"""The file that only a frozen directory has."""

SECTION = "quantization_config"
"""The key of `config.json`, and of the configs in it, that says how the model is quantized."""

METHOD = "quantcli"
"""The name of our method in transformers' tables while it runs. Version 1 also wrote it."""

SECTION_VERSION = 2
"""The version of the section that is written, and the newest that can be read."""

MARK = {"quant_method": None, "requires": METHOD}
"""What a section of ours holds since version 2.

transformers raises an error for a `quant_method` of null; an unknown name it only logs, and then
it fills the model with random weights.
"""


def is_ours(section: Any) -> bool:
    """Tell whether a `quantization_config`, a dict or transformers' object, is quantcli's."""
    if not hasattr(section, "get"):
        return False
    if section.get("requires") == METHOD:
        return True
    return bool(section.get("quant_method") == METHOD)
