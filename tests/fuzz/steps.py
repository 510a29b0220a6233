"""What a damaged folder is put through, and what must hold of it whatever the damage was."""

from __future__ import annotations

import contextlib
import hashlib
import json
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from fuzz.archives import EXECUTED
from fuzz.documents import NoPlaceError
from fuzz.weights import split

import quantcli
from quantcli.errors import QuantcliError
from quantcli.frozen.manifest import MANIFEST, is_frozen
from quantcli.frozen.verify import verify

PACKAGE = Path(quantcli.__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What must not happen: an exception (`kind` is its type), or a rule that was broken.

    `where` is the innermost line of quantcli; of a broken rule it is empty.
    """

    step: str
    kind: str
    where: str = ""
    detail: str = ""

    @property
    def module(self) -> str:
        return self.where.partition(":")[0]


@dataclass(slots=True)
class Record:
    """What became of one case: each step's outcome, and what must not happen."""

    outcomes: dict[str, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def note(self, step: str, kind: str, detail: str = "") -> None:
        """Note a rule that was broken."""
        self.findings.append(Finding(step=step, kind=kind, detail=detail))


Say = Callable[[str], None]
"""Is told which step begins."""


def run_steps(folder: Path, pristine: Path, rng: Random, say: Say) -> Record:
    """Give a damaged folder to every command; `pristine` is what it was made from.

    The current folder is that of the case: what is written goes there.
    """
    record = Record()
    before = _files(folder)
    weights = rng.choice(["int8", "int8", "int4", "int2", "float8", "float16"])
    sized = _attempt(record, "size", say, lambda: quantcli.size(folder, weights=[weights]))
    _quantize(record, folder, weights, sized, say)
    problems = _attempt(record, "verify", say, lambda: verify(folder))
    if problems:
        record.outcomes["verify"] = f"refused: {problems[0]}"
    _check_verified(record, problems, folder, pristine)
    model = _attempt(record, "load", say, lambda: quantcli.load(folder))
    if model is not None:
        _check_loaded(record, model, folder, pristine)
    _look(record, folder, say)
    _dequantize(record, folder, say)
    if _files(folder) != before:
        record.note("all", "SourceChanged", str(set(before.items()) ^ set(_files(folder).items())))
    if Path(EXECUTED).exists():
        record.note("all", "CodeWasRun")
    return record


def compare_steps(folder: Path, pristine: Path, rng: Random, say: Say) -> Record:
    """Compare a damaged folder with the other side of its pair, which lies beside `pristine`."""
    del rng
    record = Record()
    before = _files(folder)
    name = pristine.name.removesuffix("-int8")
    pair = [pristine.with_name(name), pristine.with_name(f"{name}-int8")]
    pair[pair.index(pristine)] = folder
    few = {"samples": 2, "max_tokens": 3}
    _attempt(record, "compare", say, lambda: quantcli.compare(*pair, samples=few))
    if _files(folder) != before:
        record.note("compare", "SourceChanged")
    if Path(EXECUTED).exists():
        record.note("compare", "CodeWasRun")
    return record


def _look(record: Record, folder: Path, say: Say) -> None:
    """Inspect a folder, against itself if it is an original, and explain one of its weights."""
    against = None if is_frozen(folder) else folder
    found = _attempt(record, "inspect", say, lambda: quantcli.inspect(folder, against=against))
    if found is not None and against is not None:
        changed = [each.name for each in found.tensors if each.error and not each.error.exact]
        if changed:
            record.note("inspect", "DiffersFromItself", ", ".join(changed[:3]))
    _attempt(record, "explain", say, lambda: quantcli.explain(folder, weights="int4"))


def _dequantize(record: Record, folder: Path, say: Say) -> None:
    out = Path("plain") / "model"
    out.parent.mkdir()
    made = _attempt(
        record, "dequantize", say, lambda: quantcli.dequantize(folder, output=out, jobs=2)
    )
    left = [path.name for path in out.parent.iterdir()]
    if made is None and left:
        record.note("dequantize", "LeftBehind", ", ".join(left))
    elif made is not None and made.nbytes != _payload(out):
        record.note("dequantize", "Miscounts", f"{made.nbytes} is not {_payload(out)}")


def _quantize(record: Record, folder: Path, weights: str, sized: Any, say: Say) -> None:
    out = Path("out") / "frozen"
    out.parent.mkdir()
    made = _attempt(
        record,
        "quantize",
        say,
        lambda: quantcli.quantize(folder, weights=weights, output=out, jobs=2),
    )
    if made is None:
        left = [path.name for path in out.parent.iterdir()]
        if left:
            record.note("quantize", "LeftBehind", ", ".join(left))
        return
    if sized is None:
        if not is_frozen(folder):
            record.note("size", "Disagrees", "size refuses what quantize takes")
    elif sized.predictions[0].bytes != _payload(out):
        record.note("size", "Mispredicts", f"{sized.predictions[0].bytes} is not {_payload(out)}")
    if problems := verify(out):
        record.note("quantize", "DoesNotVerify", "; ".join(problems))
    _reload(record, folder, out, say)


def _reload(record: Record, folder: Path, out: Path, say: Say) -> None:
    """Load what was made; where the original does not load either, it may be refused."""
    known = len(record.findings)
    model = _attempt(record, "reload", say, lambda: quantcli.load(out))
    if model is not None and (absent := _on_meta(model)):
        record.note("reload", "OnMeta", ", ".join(absent[:3]))
    if model is None and len(record.findings) == known and _loads_plainly(folder):
        record.note("reload", "DoesNotLoad", record.outcomes["reload"])


def _loads_plainly(folder: Path) -> bool:
    """Tell whether transformers loads a folder, of whatever kind, as it is."""
    import transformers

    names = json.loads((folder / "config.json").read_text()).get("architectures") or ["AutoModel"]
    try:
        getattr(transformers, names[0]).from_pretrained(folder)
    except Exception:  # noqa: BLE001 - that is what is asked
        return False
    return True


def _attempt(record: Record, step: str, say: Say, act: Callable[[], Any]) -> Any:
    """Return what an act makes; None where it refuses, or raises what it must not."""
    say(step)
    try:
        made = act()
    except QuantcliError as error:
        record.outcomes[step] = f"refused: {error.message}"
        return None
    except BaseException as error:  # noqa: BLE001 - that is what is looked for
        record.outcomes[step] = type(error).__name__
        record.findings.append(finding_of(step, error))
        return None
    record.outcomes[step] = "ok"
    return made


def finding_of(step: str, error: BaseException) -> Finding:
    """Describe an exception that got through."""
    ours = [
        frame for frame in traceback.extract_tb(error.__traceback__) if _is_ours(frame.filename)
    ]
    where = ""
    if ours:
        path = Path(ours[-1].filename).relative_to(PACKAGE.parent).as_posix()
        where = f"{path}:{ours[-1].lineno} {ours[-1].name}"
    text = "".join(traceback.format_exception(error, limit=-25))
    return Finding(step=step, kind=type(error).__name__, where=where, detail=text[-6000:])


def _is_ours(file: str) -> bool:
    return Path(file).is_relative_to(PACKAGE)


def _check_verified(
    record: Record, problems: list[str] | None, folder: Path, pristine: Path
) -> None:
    """Note that a frozen directory passes though a file changed that its manifest names."""
    if not is_frozen(pristine) or _digests(folder).get(MANIFEST) != _digests(pristine)[MANIFEST]:
        return
    changed = [
        name for name, digest in _digests(pristine).items() if _digests(folder).get(name) != digest
    ]
    if changed and problems == []:
        record.note("verify", "VerifyPasses", ", ".join(changed))


def _check_loaded(record: Record, model: Any, folder: Path, pristine: Path) -> None:
    """Note that a damaged frozen directory loads as another model, or as none."""
    if absent := _on_meta(model):
        record.note("load", "OnMeta", ", ".join(absent[:3]))
    if not is_frozen(pristine):
        return  # its config was made to say that it is one
    theirs = _signature(pristine)
    ours = _signature(folder)
    if changed := sorted(name for name in theirs if ours.get(name) != theirs[name]):
        name = changed[0]
        record.note("load", "LoadsChanged", f"{name}: {theirs[name]} became {ours.get(name)}")
    elif _same_payload(folder, pristine):
        _check_values(record, model, pristine)


def _check_values(record: Record, model: Any, pristine: Path) -> None:
    """Note that the same weights, in the same class, are not the same model."""
    import torch

    original = _load_once(pristine)
    if type(model) is not type(original):
        return
    ours, theirs = model.state_dict(), original.state_dict()
    if ours.keys() != theirs.keys():
        record.note("load", "OtherTensors", ", ".join(sorted(ours.keys() ^ theirs.keys())[:3]))
        return
    for name, tensor in theirs.items():
        if ours[name].shape != tensor.shape:
            record.note("load", "OtherShape", f"{name}: {[*ours[name].shape]}")
            return
        same = torch.equal(ours[name].double(), tensor.double())
        if model.dtype == original.dtype and not same:
            record.note("load", "OtherValues", name)
            return


@cache
def _load_once(folder: Path) -> Any:
    return quantcli.load(folder)


def _on_meta(model: Any) -> list[str]:
    named = [*model.named_parameters(), *model.named_buffers()]
    return [name for name, tensor in named if tensor.is_meta]


def _signature(folder: Path) -> dict[str, str]:
    """Return the dtype and shape of every tensor in the files of weights of a folder."""
    found: dict[str, str] = {}
    for path in sorted(folder.glob("model*.safetensors")):
        with contextlib.suppress(NoPlaceError, OSError):
            header, _ = split(path.read_bytes())
            found |= {
                name: f"{entry.get('dtype')} {entry.get('shape')}"
                for name, entry in header.items()
                if name != "__metadata__" and isinstance(entry, Mapping)
            }
    return found


def _same_payload(folder: Path, pristine: Path) -> bool:
    ours, theirs = _digests(folder), _digests(pristine)
    return all(ours.get(name) == theirs[name] for name in theirs if name.endswith(".safetensors"))


def _payload(folder: Path) -> int:
    """Return the bytes of all tensors in a frozen directory."""
    total = 0
    for path in folder.glob("*.safetensors"):
        content = path.read_bytes()
        total += len(content) - 8 - int.from_bytes(content[:8], "little")
    return total


def _digests(folder: Path) -> dict[str, str]:
    """Return the sha256 of every file; of a huge one, only that it is another."""
    return {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest() if size < 2**25 else "huge"
        for name, size in _sizes(folder)
    }


def _sizes(folder: Path) -> Iterator[tuple[str, int]]:
    for path in sorted(folder.rglob("*")):
        with contextlib.suppress(OSError):
            if path.is_file():
                yield path.relative_to(folder).as_posix(), path.stat().st_size


def _files(folder: Path) -> dict[str, tuple[int, int]]:
    """Return every entry of a folder, its size and when it was changed."""
    found = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        found[path.relative_to(folder).as_posix()] = (status.st_size, status.st_mtime_ns)
    return found
