"""The output directory is written as a transaction: it gets its name when it is complete."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from quantcli.errors import MachineError, ModelError, UsageError
from quantcli.files import OTHER_DISK, OTHER_OUTPUT, output_error
from quantcli.frozen.manifest import is_frozen

DIGEST = ".plan"
LOCK = ".lock"

IsOurs = Callable[[Path], bool]
"""Says whether a folder may be replaced by an output."""


def check_output(output: Path, *, overwrite: bool, is_ours: IsOurs = is_frozen) -> None:
    """Raise if the output cannot be written, or exists and must not be replaced.

    An empty folder is always replaced, one that `is_ours` only with `overwrite`, anything else
    never. Raises `UsageError`, and `MachineError` if the system does not allow the path.
    """
    with machine_errors(output):
        if not output.exists() and not output.is_symlink():
            return
        if not output.is_dir():
            raise UsageError(f"{output} already exists and is not a folder", hint=OTHER_OUTPUT)
        if any(output.iterdir()):
            _check_overwrite(output, overwrite=overwrite, is_ours=is_ours)
        _check_replaceable(output)


def _check_overwrite(output: Path, *, overwrite: bool, is_ours: IsOurs) -> None:
    if not is_ours(output):
        raise UsageError(
            f"{output} already exists, and is not a frozen directory of quantcli",
            hint="use another -o, or delete it first",
        )
    if not overwrite:
        raise UsageError(f"{output} already exists", hint="use --overwrite or another -o")


def _check_replaceable(output: Path) -> None:
    """Raise `UsageError` for a folder that cannot be replaced: a mount, or the current folder."""
    if output.is_mount() or output.samefile(Path.cwd()):
        what = "a mount point" if output.is_mount() else "the current folder"
        raise UsageError(
            f"{output} is {what}, and cannot be replaced",
            hint=f"use a folder in it: -o {output / 'NAME'}",
        )


def partial_folder(output: Path) -> Path:
    """Return the folder where an output is written until it is complete."""
    return _beside(output.resolve(), "partial")


def _beside(output: Path, kind: str) -> Path:
    return output.with_name(f".{output.name}.{kind}")


class Staging:
    """A temporary folder beside the output, which becomes the output at `commit`.

    An interrupted run keeps the folder, and a later run with the same `digest` resumes from it. Any
    other end without `commit` removes it. `needed` is the size of the output, in bytes. `is_ours`
    says whether an older output may be replaced.
    """

    def __init__(
        self,
        output: Path,
        *,
        digest: str,
        needed: int,
        overwrite: bool,
        is_ours: IsOurs = is_frozen,
    ) -> None:
        self.output = output.resolve()  # the target of a link is replaced, not the link
        self.folder = partial_folder(self.output)
        self._digest = digest
        self._needed = needed
        self._overwrite = overwrite
        self._is_ours = is_ours
        self._lock = -1

    def __enter__(self) -> Self:
        self._check_output()
        with machine_errors(self.output):
            self.output.parent.mkdir(parents=True, exist_ok=True)
            self.folder.mkdir(exist_ok=True)
            self._take_lock()
        try:
            with machine_errors(self.output):
                self._empty_unless_resumed()
            self._check_space()
        except MachineError:
            self._remove()
            os.close(self._lock)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        interrupted = kind is not None and issubclass(kind, KeyboardInterrupt)
        if self.folder.exists() and not (interrupted and self.resumable()):
            self._remove()
        os.close(self._lock)

    def resumable(self) -> bool:
        """Return whether there are finished shards to resume from."""
        return any(self.folder.rglob("*.safetensors"))

    def commit(self) -> None:
        """Give the directory its final name; replaces an older one."""
        self._check_output()
        with machine_errors(self.output):
            (self.folder / DIGEST).unlink()
            (self.folder / LOCK).unlink()
            for folder in (self.folder, *self.folder.rglob("*/")):
                _sync_folder(folder)
            replaced = _beside(self.output, "replaced")
            if self.output.exists():
                shutil.rmtree(replaced, ignore_errors=True)  # left by a run that was killed
                self.output.replace(replaced)
            self.folder.replace(self.output)
            _sync_folder(self.output.parent)
            shutil.rmtree(replaced, ignore_errors=True)

    def _check_output(self) -> None:
        check_output(self.output, overwrite=self._overwrite, is_ours=self._is_ours)

    def _take_lock(self) -> None:
        self._lock = os.open(self.folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            mine = os.fstat(self._lock).st_nlink > 0  # else its owner has just removed it
        except BlockingIOError:
            mine = False
        if not mine:
            os.close(self._lock)
            raise MachineError(
                f"another quantcli is writing {self.output}",
                hint="wait for it to finish, or use another -o",
            )

    def _empty_unless_resumed(self) -> None:
        note = self.folder / DIGEST
        with contextlib.suppress(FileNotFoundError):
            if note.read_text() == self._digest:
                return
        for path in self.folder.iterdir():
            if path.name != LOCK:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        note.write_text(self._digest)

    def _check_space(self) -> None:
        present = sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())
        free = shutil.disk_usage(self.folder).free
        if self._needed - present > free:
            raise MachineError(
                f"no space left: {self.output} needs {self._needed / 1e9:.3f} GB, "
                f"{free / 1e9:.3f} GB are free",
                hint=OTHER_DISK,
            )

    def _remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


class FileStaging(Staging):
    """The same for an output that is one file: a file in the folder becomes it."""

    def commit_file(self, name: str) -> None:
        """Give a file of the folder its final name, and remove the folder."""
        self._check_output()
        with machine_errors(self.output):
            (self.folder / name).replace(self.output)
            _sync_folder(self.output.parent)
            self._remove()

    def _check_output(self) -> None:
        check_output_file(self.output, overwrite=self._overwrite, is_ours=self._is_ours)


def check_output_file(output: Path, *, overwrite: bool, is_ours: IsOurs) -> None:
    """Raise if a file cannot be written, or exists and must not be replaced: see `check_output`."""
    with machine_errors(output):
        if not output.exists() and not output.is_symlink():
            return
        if output.is_dir():
            raise UsageError(f"{output} is a folder", hint=OTHER_OUTPUT)
        if not is_ours(output):
            raise UsageError(
                f"{output} already exists, and was not written by this command",
                hint="use another -o, or delete it first",
            )
        if not overwrite:
            raise UsageError(f"{output} already exists", hint="use --overwrite or another -o")


def digest_of(made_from: str, files: Mapping[str, Path]) -> str:
    """Return a sha256 of what an output is made from, and of the files that are read for it.

    Shards of an interrupted run are kept only if it is the same. Raises `ModelError` if a file is
    gone.
    """
    seen = [made_from]
    for name, path in files.items():
        try:
            status = path.stat()
        except FileNotFoundError as error:
            raise ModelError(f"{path} no longer exists") from error
        seen.append(f"{name} {status.st_ino} {status.st_size} {status.st_mtime_ns}")
    return hashlib.sha256("\n".join(seen).encode()).hexdigest()


@contextmanager
def machine_errors(output: Path) -> Iterator[None]:
    """Turn an `OSError` into the error for an output that cannot be written."""
    try:
        yield
    except OSError as error:
        raise output_error(error, output) from error


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
