"""Small text files that appear whole or not at all, and the question whether they can."""

from __future__ import annotations

import os
from pathlib import Path

from quantcli.errors import MachineError


def check_writable(path: str | os.PathLike[str]) -> None:
    """Refuse a file that could not be written, without touching it. Raises `MachineError`."""
    try:
        if _is_stream(Path(path)):
            return
        file = Path(path).resolve()
        if file.is_dir():
            raise _refusal(path, "it is a folder")
        folder = next(parent for parent in file.parents if parent.exists())
        if not folder.is_dir():
            raise _refusal(path, f"{folder} is not a folder")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise _refusal(path, f"{folder} cannot be written")
    except (OSError, RuntimeError, ValueError) as error:
        raise _refusal(path, _reason(error)) from error


def write_whole(path: str | os.PathLike[str], text: str) -> None:
    """Write a text file, in UTF-8: whole or not at all. Raises `MachineError`."""
    # Text that was cut out of the middle of characters has no UTF-8: it is shown escaped.
    data = text.encode("utf-8", errors="backslashreplace")
    try:
        if _is_stream(Path(path)):
            with Path(path).open("ab") as stream:
                stream.write(data)
            return
        file = Path(path).resolve()  # what a link leads to is replaced, not the link
        file.parent.mkdir(parents=True, exist_ok=True)
        _replace(file, data)
    except (OSError, RuntimeError, ValueError) as error:
        raise _refusal(path, _reason(error)) from error


def _replace(file: Path, data: bytes) -> None:
    temporary = file.with_name(f".{file.name[:200]}.{os.getpid()}")
    try:
        with temporary.open("wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)


def _is_stream(file: Path) -> bool:
    """Tell whether this is a terminal, a pipe or a device, which cannot be replaced."""
    if file.parts[:2] == ("/", "dev"):  # /dev/stdout may lead to a file that the shell holds open
        return file.exists() and not file.is_dir()
    return file.exists() and not file.is_file() and not file.is_dir()


def _reason(error: Exception) -> str:
    """Return the system's words; an OSError that says nothing, and others, in their own."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _refusal(path: str | os.PathLike[str], reason: str) -> MachineError:
    return MachineError(f"cannot write {os.fspath(path)}: {reason}", hint="choose another file")
