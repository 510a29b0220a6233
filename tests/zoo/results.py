"""Results as JSON lines, which hold as long as the code and the libraries are the same."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parents[1]
LIBRARIES = ("optimum-quanto", "torch", "transformers")

RENDERING = ("kept.py", "page.py", "pool.py", "results.py", "run.py", "test_zoo.py", "totals.py")
"""Files that results do not depend on."""


class Store:
    """Results by stage and model type, in a file that grows with each."""

    def __init__(self, path: Path, *, again: bool = False) -> None:
        self._path = path
        self._code = fingerprint()
        self._found: dict[tuple[str, str], dict[str, Any]] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        if again:
            path.unlink(missing_ok=True)
        for line in path.read_text().splitlines() if path.exists() else ():
            self._read(line)

    def _read(self, line: str) -> None:
        try:
            entry = json.loads(line)
        except ValueError:
            return  # the last line of a run that was ended
        if entry["code"] == self._code:
            self._found[entry["stage"], entry["type"]] = entry["result"]

    def find(self, stage: str, model_type: str) -> dict[str, Any] | None:
        """Return a result, or None."""
        return self._found.get((stage, model_type))

    def add(self, stage: str, model_type: str, result: dict[str, Any]) -> None:
        """Keep a result, on disk too."""
        self._found[stage, model_type] = result
        entry = {"code": self._code, "stage": stage, "type": model_type, "result": result}
        with self._path.open("a") as file:
            file.write(json.dumps(entry) + "\n")

    def all(self, stage: str) -> dict[str, dict[str, Any]]:
        """Return the results of a stage by model type, sorted."""
        return {name: found for (at, name), found in sorted(self._found.items()) if at == stage}


def fingerprint() -> str:
    """Return a hash of what results depend on: our code, and the versions of libraries."""
    digest = hashlib.sha256()
    files = [*(TESTS.parent / "quantcli").rglob("*.py"), TESTS / "freezing.py"]
    files += [file for file in TESTS.glob("zoo/*.py") if file.name not in RENDERING]
    for file in sorted(files):
        digest.update(f"{file.relative_to(TESTS.parent)}\n".encode() + file.read_bytes())
    digest.update(" ".join(f"{name} {version(name)}" for name in LIBRARIES).encode())
    return digest.hexdigest()[:16]
