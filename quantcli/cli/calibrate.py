"""`quantcli calibrate`."""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from quantcli.cli import options, sampling
from quantcli.cli.completing import completers
from quantcli.cli.interrupt import interrupted, unwind_on_interrupt
from quantcli.cli.terminal.output import print_json, print_result, print_sentence, warn
from quantcli.cli.terminal.streams import can_redraw
from quantcli.errors import UsageError

if TYPE_CHECKING:
    from quantcli.api.calibrating import Calibrated
    from quantcli.calibrating.make import Making
    from quantcli.calibrating.request import CalibrateRequest

EXAMPLES = """\b
Examples:
  quantcli calibrate ./my-model -o my-model.calibration
  quantcli calibrate ./my-model --data texts.jsonl --samples 128 -o mine.calibration
  quantcli calibrate --add one.calibration two.calibration -o both.calibration
"""

Models = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="MODEL",
        autocompletion=completers.models,
        help="Hub id or folder; with --add, the calibration files.",
        show_default=False,
    ),
]
Output = Annotated[
    Path,
    typer.Option("-o", "--output", metavar="FILE", callback=options.home, help="Output file."),
]
Task = Annotated[str | None, sampling.task("Run the model as for this task of compare.")]
Text = Annotated[
    list[str] | None, sampling.repeatable("text", "TEXT", "A text to run the model on")
]
Image = Annotated[list[str] | None, sampling.repeatable("image", "FILE", "An image to run it on")]
Audio = Annotated[
    list[str] | None, sampling.repeatable("audio", "FILE", "An audio file to run it on")
]
MaxTokens = Annotated[
    int | None,
    typer.Option(
        "--max-tokens", metavar="N", min=1, help="Tokens of each text at most. [default: 256]"
    ),
]
SelfGenerated = Annotated[
    bool,
    typer.Option(
        "--self-generated", help="Let the model, a causal language model, write the samples."
    ),
]
Memory = Annotated[
    str | None,
    typer.Option(
        "--memory",
        metavar="SIZE",
        callback=options.optional_size,
        help="Memory for the sums of one pass over the samples. [default: half of what is free]",
    ),
]
Add = Annotated[
    bool, typer.Option("--add", help="Add up calibrations of one model, made on other samples.")
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace an existing calibration file.")
]
Quiet = Annotated[
    bool,
    typer.Option("-q", "--quiet", help="No progress or warnings; print only the output file."),
]


def calibrate(
    models: Models,
    output: Output,
    task: Task = None,
    text: Text = None,
    image: Image = None,
    audio: Audio = None,
    data: sampling.Data = None,
    samples: sampling.Samples = None,
    max_tokens: MaxTokens = None,
    self_generated: SelfGenerated = False,
    seed: sampling.Seed = None,
    memory: Memory = None,
    add: Add = False,
    revision: options.Revision = None,
    trust_remote_code: options.TrustRemoteCode = False,
    overwrite: Overwrite = False,
    as_json: options.Json = False,
    quiet: Quiet = False,
) -> None:
    """Run a model on samples, and store what its weights are multiplied with.

    The file holds the second moment of the inputs of each weight that can be quantized. With it,
    quantize --optimizer gptq rounds the values so that the outputs change least. Without samples
    of your own, built-in ones are used, none of which compare measures with.
    """
    given = models or []
    if add:
        _add(given, output, overwrite=overwrite, as_json=as_json, quiet=quiet)
        return
    if len(given) != 1:
        problem = "missing argument: MODEL" if not given else f"unexpected argument: {given[1]}"
        raise UsageError(problem, hint="quantcli calibrate MODEL -o FILE")
    from quantcli.api.calibrating import make_calibrate_request
    from quantcli.recipe import CalibrationSamples
    from quantcli.upstream.versions import version_warnings

    table = CalibrationSamples.check(
        {
            "task": task,
            "text": text,
            "image": image,
            "audio": audio,
            "data": data,
            "samples": samples,
            "max_tokens": max_tokens,
            "seed": seed,
            "self_generated": self_generated,
        },
        origin=None,
    )
    request = make_calibrate_request(
        given[0],
        output,
        table,
        memory=None if memory is None else options.parse_size(memory),
        revision=revision,
        trust_remote_code=trust_remote_code,
        show_downloads=can_redraw(sys.stderr) and not quiet,
        overwrite=overwrite,
    )
    if not quiet:
        warn(version_warnings())
    _show(run_calibration(request, quiet=quiet), as_json=as_json, quiet=quiet)


def run_calibration(request: CalibrateRequest, *, quiet: bool) -> Calibrated:
    """Calibrate with progress and warnings; exit if interrupted."""
    from quantcli.api.calibrating import calibrate_request
    from quantcli.cli.terminal.progress import make_steps
    from quantcli.text import plural

    def on_start(making: Making) -> None:
        gc.enable()  # everything is imported, and a run can be long
        unwind_on_interrupt()
        if not quiet:
            warn(making.fed.notices)
            if making.passes > 1:
                samples = plural(len(making.fed.feeds), "sample")
                warn([f"{making.passes} passes over {samples}: more --memory would take fewer"])

    try:
        return calibrate_request(
            request, progress=make_steps(quiet=quiet, what="calibrating"), on_start=on_start
        )
    except KeyboardInterrupt:
        raise interrupted(request.output) from None


def _add(files: list[str], output: Path, *, overwrite: bool, as_json: bool, quiet: bool) -> None:
    from quantcli.api.calibrating import add_calibrations

    result = add_calibrations(files, output=output, overwrite=overwrite)
    _show(result, as_json=as_json, quiet=quiet)


def _show(result: Calibrated, *, as_json: bool, quiet: bool) -> None:
    if as_json:
        print_json(to_json(result))
    elif quiet:
        print_result(str(result.output))
    else:
        from quantcli.text import format_bytes, plural, some

        sets = result.header.samples
        samples = plural(sum(each.count for each in sets), "sample")
        tokens = sum(each.tokens for each in sets)
        print_sentence(
            f"{result.header.origin}: {plural(result.weights, 'weight')}, {samples} "
            f"({', '.join(dict.fromkeys(each.source for each in sets))}"
            + (f", {plural(tokens, 'token')})" if tokens else ")")
        )
        if result.unreached:
            count = plural(len(result.unreached), "weight")
            print_sentence(f"not reached by any sample: {count} ({some(result.unreached)})")
        seconds = f" in {result.seconds:.1f} s" if result.seconds else ""
        print_sentence(f"{result.output}: {format_bytes(result.nbytes)}, written{seconds}")


def to_json(result: Calibrated) -> dict[str, Any]:
    """Return the JSON of a run."""
    from quantcli.api import peak_rss_bytes

    header = result.header.model_dump(mode="json", exclude={"weights", "version"})
    return {
        "output": str(result.output),
        **header,
        "bytes": result.nbytes,
        "weights": result.weights,
        "unreached": list(result.unreached),
        "passes": result.passes,
        "seconds": result.seconds,
        "peak_rss_bytes": peak_rss_bytes(),
    }
