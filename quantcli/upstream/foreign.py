"""Code of others: what it raises becomes an error in words, what our own code raises does not."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from quantcli.errors import QuantcliError


@contextmanager
def foreign_code(explain: Callable[[BaseException], QuantcliError]) -> Iterator[None]:
    """Raise what `explain` makes of an error of foreign code, such as one for a damaged config.

    Wrap a single call: everything that it raises is caught, also `SystemExit` of a model's own
    code. A `QuantcliError`, a `MemoryError` and an error of our own code pass unchanged.
    """
    try:
        yield
    except (QuantcliError, MemoryError):
        raise
    except (Exception, SystemExit) as error:
        if _is_ours(error):
            raise
        raise explain(error) from error


def _is_ours(error: BaseException) -> bool:
    """Return whether quantcli raised an error, directly or from the standard library.

    The innermost frame decides, so a bug in a method that foreign code calls is ours too.
    """
    modules = _modules(error)
    if len(modules) == 2 and isinstance(error, TypeError):
        return False  # only the `with` block is on the stack: the signature of what it calls
    return [name for name in modules if name not in sys.stdlib_module_names][-1:] == ["quantcli"]


def _modules(error: BaseException) -> list[str]:
    """Return the top-level module of each frame, from `foreign_code` to where it was raised."""
    modules = []
    traceback = error.__traceback__
    while traceback is not None:
        modules.append(str(traceback.tb_frame.f_globals.get("__name__")).partition(".")[0])
        traceback = traceback.tb_next
    return modules
