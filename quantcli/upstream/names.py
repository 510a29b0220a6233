"""Private names of other libraries: which ones we use, where, and an error when one is gone."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from types import FunctionType, TracebackType
from typing import Any, TypeVar

from quantcli.errors import MachineError
from quantcli.upstream.versions import PACKAGES, installed, pin

RELIED_ON: dict[str, list[str]] = {}
"""A private name -> our functions and classes that use it. Filled as their modules are imported."""

_MISSING = (ImportError, AttributeError, TypeError)
"""What Python raises where a name is gone, or is no longer what it was."""

_Used = TypeVar("_Used", bound=Callable[..., Any])


class MovedNameError(MachineError):
    """An installed library no longer has a private name that quantcli uses."""

    def __init__(self, name: str, purpose: str) -> None:
        package = PACKAGES[name.partition(".")[0]]
        super().__init__(
            f"{package} {installed(package)} has no {name}, which quantcli needs to {purpose}",
            hint=f"pip install '{pin(package)}'",
        )


class relies_on:  # noqa: N801 - a decorator
    """Declare the private names that a function or a class uses, and what it needs them `to` do.

    A name is a dotted path: "transformers.modeling_utils._get_dtype". The last part may also be an
    attribute that a class or a function only sets: "transformers.PreTrainedModel.hf_quantizer".

    Decorates a function, whose missing names become a `MovedNameError`, or a class, whose bases and
    overridden methods are then recorded. As a context manager it does the same for an import.
    """

    def __init__(self, *names: str, to: str) -> None:
        self._names = names
        self._purpose = to

    def __call__(self, used: _Used) -> _Used:
        """Record the names as those of a function or class."""
        for name in self._names:
            RELIED_ON.setdefault(name, []).append(f"{used.__module__}.{used.__qualname__}")
        return used if isinstance(used, type) else self._checked(used)

    def __enter__(self) -> None:
        """Do nothing: only an error matters."""

    def __exit__(
        self, kind: object, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Raise `MovedNameError` if one of the names is gone, else let the error pass."""
        if isinstance(error, _MISSING):
            self._explain(error)

    def _checked(self, function: Any) -> Any:
        @wraps(function)
        def checked(*args: Any, **kwargs: Any) -> Any:
            try:
                return function(*args, **kwargs)
            except _MISSING as error:
                self._explain(error)
                raise

        return checked

    def _explain(self, error: Exception) -> None:
        for name in self._names:
            if not resolves(name):
                raise MovedNameError(name, self._purpose) from error


def resolves(name: str) -> bool:
    """Return whether the installed library has a dotted name. Imports its module."""
    from pkgutil import resolve_name

    owner, _, last = name.rpartition(".")
    try:
        return hasattr(resolve_name(owner), last) or _sets(resolve_name(owner), last)
    except (ImportError, AttributeError):
        return False


def _sets(owner: Any, attribute: str) -> bool:
    """Return whether a class or function sets an attribute, as in `self.attribute = …`."""
    from dis import get_instructions

    members = (value for base in getattr(owner, "__mro__", ()) for value in vars(base).values())
    functions = (getattr(member, "__func__", member) for member in (owner, *members))
    return any(
        step.opname == "STORE_ATTR" and step.argval == attribute
        for function in functions
        if isinstance(function, FunctionType)
        for step in get_instructions(function)
    )
