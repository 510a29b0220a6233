"""Make transformers know quantcli, whichever of the two is imported first.

transformers asks two functions of `transformers.quantizers.auto` about a `quantization_config`.
Both are wrapped, so that they know a section of ours by its mark; what they then need is imported
when the first frozen directory is loaded. Importing transformers takes seconds, so where it is not
imported yet an import hook waits for it.

Nobody needs to import quantcli for that: torch calls the entry points in its group
`torch.backends` when it is imported, and `autoload` is one of them.
"""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from quantcli.mark import METHOD, is_ours

_AWAITED = "transformers.quantizers.auto"
_WRAPPED = (("AutoQuantizationConfig", "from_dict"), ("AutoHfQuantizer", "supports_quant_method"))


class _AutoFinder:
    """Finds the awaited module as everybody else does, and teaches it once it has run."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of the awaited module, and None for any other."""
        if fullname != _AWAITED:
            _teach_if_ready()
            return None
        for finder in sys.meta_path:
            if finder is self:
                continue
            spec = finder.find_spec(fullname, path, target)
            if spec is not None and spec.loader is not None:
                self._follow(spec.loader)
                return spec
        return None

    def _follow(self, loader: Any) -> None:
        execute = loader.exec_module

        def execute_and_teach(module: ModuleType) -> None:
            execute(module)
            # a zipimporter is shared by all modules of its archive
            if module.__name__ == _AWAITED:
                _teach(module)

        loader.exec_module = execute_and_teach


def autoload() -> None:
    """Wait for transformers. torch calls this at its import, and would pass on any exception."""
    with contextlib.suppress(Exception):
        install()


def install() -> None:
    """Teach transformers now if it is imported, else as soon as it is."""
    if not _teach_if_ready() and not any(isinstance(each, _AutoFinder) for each in sys.meta_path):
        sys.meta_path.insert(0, _AutoFinder())


def register() -> None:
    """Register the config and the quantizer with transformers, once. Imports transformers."""
    from transformers.quantizers import auto

    from quantcli.loading.methods import mend_methods
    from quantcli.loading.quantizer import FrozenConfig, FrozenQuantizer

    _teach(auto)
    mend_methods()
    if METHOD not in auto.AUTO_QUANTIZER_MAPPING:
        auto.register_quantization_config(METHOD)(FrozenConfig)
        auto.register_quantizer(METHOD)(FrozenQuantizer)


def _teach_if_ready() -> bool:
    """Teach the awaited module if it has run; it may be the one that imports torch, and so us."""
    module = sys.modules.get(_AWAITED)
    if module is None or getattr(module.__spec__, "_initializing", False):
        return False
    _teach(module)
    return True


def _teach(auto: ModuleType) -> None:
    """Wrap the functions that are asked about a section, once, and wait no longer."""
    for owner, name in _WRAPPED:
        kind = getattr(auto, owner, None)
        function = getattr(kind, name, None)
        if function is not None and not hasattr(function, "knows_quantcli"):
            setattr(kind, name, staticmethod(_knowing(function)))
    # a new list: an import that is under way goes on through the old one, and skips no finder
    sys.meta_path = [each for each in sys.meta_path if not isinstance(each, _AutoFinder)]


def _knowing(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a section of ours the name that our classes are registered by."""

    @functools.wraps(function)
    def named(section: Any, *args: Any, **kwargs: Any) -> Any:
        if is_ours(section):
            register()
            if isinstance(section, dict):
                section = section | {"quant_method": METHOD}
        return function(section, *args, **kwargs)

    named.knows_quantcli = True  # type: ignore[attr-defined]
    return named
