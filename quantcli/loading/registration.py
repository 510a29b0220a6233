"""Let transformers load frozen directories, whichever is imported first.

transformers calls two functions of `transformers.quantizers.auto` with a `quantization_config`.
Both are wrapped, so that they recognize a section of ours; what they then need is imported with the
first frozen directory. Importing transformers takes seconds, so if it is not imported yet, an
import hook waits for it.

Nobody needs to import quantcli for that: when torch is imported it calls the entry points of the
group `torch.backends`, and `autoload` is one of them.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from quantcli.mark import METHOD, is_ours

QUANTIZERS = "transformers.quantizers.auto"
"""The module that is awaited, as `upstream.transformers` names it: that is not imported before.

Every process that imports torch imports this module.
"""


class _Finder:
    """Finds the module `QUANTIZERS` as others do, and wraps its functions once it has run."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of that module, and None for any other."""
        if fullname != QUANTIZERS:
            _wrap_if_ready()
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

        def execute_and_wrap(module: ModuleType) -> None:
            execute(module)
            # a zipimporter is shared by all modules of its archive
            if module.__name__ == QUANTIZERS:
                _wrap(module)

        loader.exec_module = execute_and_wrap


def autoload() -> None:
    """Install, as torch asks when it is imported. An error is a warning: torch would not import."""
    try:
        install()
    except Exception as error:  # noqa: BLE001 - see above
        import warnings

        message = f"quantcli: transformers cannot load frozen directories: {error!r}"
        warnings.warn(message, RuntimeWarning, stacklevel=2)


def install() -> None:
    """Wrap the functions now if transformers is imported, else as soon as it is."""
    if not _wrap_if_ready() and not any(isinstance(each, _Finder) for each in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def register() -> None:
    """Register our classes with transformers, once. Imports transformers."""
    from quantcli.loading.extension import extend

    extend()
    _wrap_if_ready()


def _wrap_if_ready() -> bool:
    """Wrap if the module has run; it may be the one that imports torch, and so us."""
    module = sys.modules.get(QUANTIZERS)
    if module is None or getattr(module.__spec__, "_initializing", False):
        return False
    _wrap(module)
    return True


def _wrap(module: ModuleType) -> None:
    """Remove the finder, and wrap the functions that take a section, once."""
    # a new list: an import in progress goes on through the old one, and skips no finder; removed
    # first, since the import below would call it again
    sys.meta_path = [each for each in sys.meta_path if not isinstance(each, _Finder)]
    from quantcli.upstream.transformers import section_functions

    for owner, name in section_functions(module):
        function = getattr(owner, name)
        if not hasattr(function, "knows_quantcli"):
            setattr(owner, name, staticmethod(_renaming(function)))


def _renaming(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that gives a section of ours the method that we register."""

    @functools.wraps(function)
    def renamed(section: Any, *args: Any, **kwargs: Any) -> Any:
        if is_ours(section):
            register()
            if isinstance(section, dict):
                section = section | {"quant_method": METHOD}
        return function(section, *args, **kwargs)

    renamed.knows_quantcli = True  # type: ignore[attr-defined]
    return renamed
