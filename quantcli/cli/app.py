"""The commands, and the one place where errors become messages and exit codes."""

from __future__ import annotations

import gc
import os
import sys
from typing import Annotated, Any, NoReturn

import typer

from quantcli.cli import (
    bench,
    calibrate,
    compare,
    completion,
    dequantize,
    explain,
    inspect,
    quantize,
    size,
    tune,
    verify,
)
from quantcli.cli.interrupt import exit_on_interrupt
from quantcli.cli.terminal.output import open_closed_streams, print_message, print_result
from quantcli.errors import MachineError, QuantcliError

app = typer.Typer(
    name="quantcli",
    help="Quantize Hugging Face models with Quanto, and check the result against the original.",
    epilog="Environment: HF_HOME, HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE work as in "
    "huggingface_hub; "
    "QUANTCLI_DEBUG=1 shows tracebacks.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("quantize", epilog=quantize.EXAMPLES)(quantize.quantize)
app.command("size", epilog=size.EXAMPLES)(size.size)
app.command("compare", epilog=compare.EXAMPLES)(compare.compare)
app.command("bench", epilog=bench.EXAMPLES)(bench.bench)
app.command("calibrate", epilog=calibrate.EXAMPLES)(calibrate.calibrate)
app.command("tune", epilog=tune.EXAMPLES)(tune.tune)
app.command("verify", epilog=verify.EXAMPLES)(verify.verify)
app.command("explain", epilog=explain.EXAMPLES)(explain.explain)
app.command("inspect", epilog=inspect.EXAMPLES)(inspect.inspect)
app.command("dequantize", epilog=dequantize.EXAMPLES)(dequantize.dequantize)
app.command("completion", epilog=completion.EXAMPLES)(completion.completion)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print_result(f"quantcli {version('quantcli')}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[  # noqa: ARG001 - the callback answers
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Show the help if no command is given."""
    if context.invoked_subcommand is None:
        print_result(context.get_help())


def run() -> NoReturn:
    """Run the command line as the process `quantcli`, and exit with its exit code."""
    # garbage collection takes a quarter of the time of importing torch and transformers, and most
    # of a second when the interpreter exits
    gc.disable()
    if shell := os.environ.get(completion.VARIABLE):
        print_result(completion.answer(app, shell, sys.argv[1:]))
        sys.exit(0)
    code = main()
    gc.freeze()
    sys.exit(code)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    debug = os.environ.get("QUANTCLI_DEBUG") == "1"
    open_closed_streams()
    _quieten_libraries(debug=debug)
    try:
        with exit_on_interrupt():
            code: Any = app(arguments, prog_name="quantcli", standalone_mode=False)
    except QuantcliError as error:
        if debug:
            raise
        return _report(error.message, error.hint, error.exit_code)
    except typer.TyperException as error:
        words = sys.argv[1:] if arguments is None else arguments
        from quantcli.cli import usage

        return _report(*usage.explain(error, words, _commands()), error.exit_code)
    except MemoryError:
        if debug:
            raise
        return _report(
            "not enough memory",
            "use fewer --jobs, or a larger machine",
            MachineError.exit_code,
        )
    return code if isinstance(code, int) else 0


def _commands() -> list[str]:
    return [str(command.name) for command in app.registered_commands]


def _report(message: str, hint: str | None, code: int) -> int:
    print_message(f"error: {_one_line(message)}")
    if hint:
        print_message(f"hint: {_one_line(hint)}")
    return code


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _quieten_libraries(*, debug: bool) -> None:
    """Silence the libraries' warnings, which are for developers."""
    if debug:
        return
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_VERBOSITY", "error")
    os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")
    if not sys.warnoptions:
        import warnings

        warnings.simplefilter("ignore")
