"""Code of others: its errors are put into words, and bugs of our own code pass unchanged."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, TracebackType

from quantcli.errors import QuantcliError

_PACKAGE = f"{Path(__file__).parents[1]}/"


@contextmanager
def foreign_code(explain: Callable[[BaseException], QuantcliError]) -> Iterator[None]:
    """Raise what `explain` makes of an error of foreign code, such as one for a damaged config.

    Wrap a single call: everything that it raises is caught, also `SystemExit` of a model's own
    code. A `QuantcliError`, a `MemoryError` and a bug of our own code pass unchanged.
    """
    try:
        yield
    except (QuantcliError, MemoryError):
        raise
    except (Exception, SystemExit) as error:
        if is_bug(error, callers=2):  # this function, and the one with the block
            raise
        raise explain(error) from error


def is_bug(error: BaseException, *, callers: int = 1) -> bool:
    """Return whether our own code raised an error that was caught around a foreign call.

    The innermost Python frame decides, the standard library's left out, so a bug in a method of
    ours that foreign code calls counts too. The first frames, the `callers`, made the call and do
    not count. A `RuntimeError` is never a bug: torch's C++ code raises it in the frame that called
    torch.
    """
    if isinstance(error, RuntimeError):
        return False
    frames = [*_frames(error.__traceback__)][callers:]
    own = [_is_ours(frame) for frame in frames if not _is_passed_over(frame)]
    return own[-1:] == [True]


def _frames(traceback: TracebackType | None) -> Iterator[FrameType]:
    while traceback is not None:
        yield traceback.tb_frame
        traceback = traceback.tb_next


def _is_ours(frame: FrameType) -> bool:
    named = _top_module(frame) == "quantcli"
    return named or frame.f_code.co_filename.startswith(_PACKAGE)


def _is_passed_over(frame: FrameType) -> bool:
    # a mode's `__torch_function__` only passes a call of torch on
    in_library = _top_module(frame) in sys.stdlib_module_names
    return in_library or frame.f_code.co_name == "__torch_function__"


def _top_module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__")).partition(".")[0]
