"""Make transformers know quantcli, whichever of the two is imported first.

transformers looks a config's `quant_method` up in `transformers.quantizers.auto`. Importing that
takes seconds, so where it is not there yet an import hook waits for it.
"""

from __future__ import annotations

import importlib.abc
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

METHOD = "quantcli"
"""The `quant_method` of a frozen directory's config."""

_AWAITED = "transformers.quantizers.auto"


class _AutoFinder(importlib.abc.MetaPathFinder):
    """Finds the awaited module as everybody else does, and registers once it has run."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != _AWAITED:
            return None
        for finder in sys.meta_path:
            if finder is self:
                continue
            spec = finder.find_spec(fullname, path, target)
            if spec is not None and spec.loader is not None:
                self._follow(spec.loader)
                return spec
        return None

    def _follow(self, loader: importlib.abc.Loader) -> None:
        execute = loader.exec_module

        def execute_and_register(module: ModuleType) -> None:
            execute(module)
            # a zipimporter is shared by all modules of its archive
            if module.__name__ == _AWAITED:
                register()
                _remove_finder()

        loader.exec_module = execute_and_register  # type: ignore[method-assign]


def install() -> None:
    """Register with transformers now if it is imported, else as soon as it is."""
    if _AWAITED in sys.modules:
        register()
    elif not any(isinstance(finder, _AutoFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _AutoFinder())


def register() -> None:
    """Register the config and the quantizer with transformers, once. Imports transformers."""
    from transformers.quantizers import auto

    from quantcli.loading.quantizer import FrozenConfig, FrozenQuantizer

    if METHOD not in auto.AUTO_QUANTIZER_MAPPING:
        auto.register_quantization_config(METHOD)(FrozenConfig)
        auto.register_quantizer(METHOD)(FrozenQuantizer)


def _remove_finder() -> None:
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _AutoFinder)]
