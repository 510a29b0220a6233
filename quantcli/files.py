"""Files: written whole or not at all, read as JSON, and the errors that the system gives for them.

Light: importing it costs nothing.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from quantcli.errors import MachineError, ModelError, QuantcliError, UsageError

OTHER_OUTPUT = "use another -o"
OTHER_DISK = "free some space, or use -o to write to another disk"
"""Hints for an output directory that cannot be written."""


def is_full(error: OSError) -> bool:
    """Return whether the disk is full, or the user's quota."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def is_forbidden(error: OSError) -> bool:
    """Return whether a permission is missing, or the disk is read-only."""
    return isinstance(error, PermissionError) or error.errno == errno.EROFS


def reason(error: Exception) -> str:
    """Return the system's words for an `OSError`, and the message of any other error."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def read_error(
    error: OSError, path: str | os.PathLike[str], kind: type[QuantcliError] = ModelError
) -> QuantcliError:
    """Return the error for a file that cannot be read.

    `MachineError` if a permission is missing, else `kind`.
    """
    name = os.fspath(path)
    if is_forbidden(error):
        return MachineError(f"no permission to read {name}")
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return kind(f"no such file: {name}")
    return kind(f"cannot read {name}: {reason(error)}")


def write_error(target: str, problem: str, *, hint: str | None = None) -> MachineError:
    """Return the error for a file or stream, called `target`, that cannot be written."""
    return MachineError(f"cannot write {target}: {problem}", hint=hint)


def output_error(error: OSError, output: Path) -> QuantcliError:
    """Return the error for an output directory that cannot be written.

    `UsageError` if there is a file where the directory or one of its parents should be, else
    `MachineError`.
    """
    if is_full(error):
        return MachineError(f"no space left on the disk of {output}", hint=OTHER_DISK)
    if isinstance(error, FileExistsError | NotADirectoryError):
        return UsageError(f"cannot create {output}: {reason(error)}", hint=OTHER_OUTPUT)
    return write_error(str(output), reason(error), hint=OTHER_OUTPUT)


def parse_json(text: bytes, *, unique_keys: bool = False) -> Any:
    """Return the value that JSON text holds.

    Raises `ValueError` if it is not UTF-8, not JSON or nested too deeply; with `unique_keys` also
    if an object has a key twice. The message goes after the name of the file: "is not valid JSON".
    """
    hook = _refuse_duplicates if unique_keys else None
    try:
        return json.loads(text.decode("utf-8"), object_pairs_hook=hook)
    except UnicodeDecodeError as error:
        raise ValueError(f"is not UTF-8 text (byte {error.start})") from error
    except _DuplicateKeyError as error:
        raise ValueError(f"names {error} twice") from error
    # ValueError: not only JSONDecodeError, but also a number of thousands of digits
    except ValueError as error:
        raise ValueError(f"is not valid JSON: {error}") from error
    except RecursionError as error:
        raise ValueError("is nested too deeply to be read") from error


def read_json(path: Path) -> Any:
    """Return the value in a JSON file. Raises `OSError`, and `ValueError` as `parse_json` does."""
    return parse_json(path.read_bytes())


class _DuplicateKeyError(Exception):
    """An object in JSON text has a key twice."""


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for key, item in pairs:
        if key in value:
            raise _DuplicateKeyError(repr(key))
        value[key] = item
    return value


@contextmanager
def whole_file(path: Path, *, tag: str = "writing") -> Iterator[BinaryIO]:
    """Open a file for writing that appears whole or not at all.

    It has a temporary name in the same folder until the block ends without an error and all of it
    is on the disk. `tag` ends the temporary name: processes that may write the same file at the
    same time need different ones.
    """
    start = os.fsencode(path.name)[:200].decode(errors="ignore")  # names end at 255 bytes
    temporary = path.with_name(f".{start}.{tag}")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8, whole or not at all. Raises `OSError`."""
    with whole_file(path) as file:
        file.write(text.encode())


def write_json(path: Path, data: Any) -> None:
    """Write indented JSON, whole or not at all. Raises `OSError`."""
    write_text(path, json.dumps(data, indent=2, ensure_ascii=False) + "\n")


def copy_file(source: Path, target: Path) -> None:
    """Copy a file, whole or not at all. Raises `OSError`."""
    with source.open("rb") as read, whole_file(target) as file:
        shutil.copyfileobj(read, file)


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raise `MachineError` if `write_report` could not write a file. Does not touch it."""
    with _report_errors(path):
        problem = _problem(Path(path))
    if problem is not None:
        raise _report_error(path, problem)


def _problem(path: Path) -> str | None:
    """Return why a file cannot be written, None if it can."""
    if _is_stream(path):
        return None
    file = path.resolve()
    if file.is_dir():
        return "it is a folder"
    folder = next(parent for parent in file.parents if parent.exists())
    if not folder.is_dir():
        return f"{folder} is not a folder"
    return None if os.access(folder, os.W_OK | os.X_OK) else f"{folder} cannot be written"


def write_report(path: str | os.PathLike[str], content: str | bytes) -> None:
    """Write a file that the user asked for, text in UTF-8: whole or not at all.

    Makes its folder, and follows a link. A terminal, a pipe or a device cannot be replaced: the
    content is appended to it. Raises `MachineError`.
    """
    # text that was cut inside a character has no UTF-8: it is shown escaped
    data = (
        content
        if isinstance(content, bytes)
        else content.encode("utf-8", errors="backslashreplace")
    )
    with _report_errors(path):
        if _is_stream(Path(path)):
            with Path(path).open("ab") as stream:
                stream.write(data)
            return
        file = Path(path).resolve()  # the target of a link is replaced, not the link
        file.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(file, tag=str(os.getpid())) as out:
            out.write(data)


@contextmanager
def _report_errors(path: str | os.PathLike[str]) -> Iterator[None]:
    try:
        yield
    # RuntimeError: a link that leads to itself; ValueError: a name with a null character
    except (OSError, RuntimeError, ValueError) as error:
        raise _report_error(path, reason(error)) from error


def _report_error(path: str | os.PathLike[str], problem: str) -> MachineError:
    return write_error(os.fspath(path), problem, hint="choose another file")


def _is_stream(file: Path) -> bool:
    """Return whether a file is a terminal, a pipe or a device, which cannot be replaced."""
    if file.parts[:2] == ("/", "dev"):  # /dev/stdout may lead to a file that the shell holds open
        return file.exists() and not file.is_dir()
    return file.exists() and not file.is_file() and not file.is_dir()
