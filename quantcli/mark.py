"""How a frozen directory is recognized: a section of its config, and its manifest."""

from __future__ import annotations

from typing import Any

MANIFEST = "quantcli.json"
"""The name of the manifest. Only a frozen directory has this file."""

SECTION = "quantization_config"
"""The key of `config.json`, and of the configs in it, that says how the model is quantized."""

METHOD = "quantcli"
"""The name under which our quantizer is registered with transformers.

Version 1 of the section had it as `quant_method`.
"""

SECTION_VERSION = 4
"""The newest version of the section that can be read: it says which activations are quantized."""

PARAMETERS_VERSION = 3
"""The version that is written where weights alone are quantized."""

MODULES_VERSION = 2
"""The version that is written where these are weights of Quanto's own modules."""

MARK = {"quant_method": None, "requires": METHOD}
"""The entries that mark a section as quantcli's, since version 2.

transformers raises an error if `quant_method` is null. If it is an unknown name, transformers only
logs a warning and leaves the weights random.
"""


def is_ours(section: Any) -> bool:
    """Return whether a `quantization_config` (a dict or transformers' object) is quantcli's."""
    if not hasattr(section, "get"):
        return False
    if section.get("requires") == METHOD:
        return True
    return bool(section.get("quant_method") == METHOD)
