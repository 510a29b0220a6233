"""`quantcli dequantize`."""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING, Any

from quantcli.cli import options
from quantcli.cli.interrupt import interrupted, unwind_on_interrupt
from quantcli.cli.terminal.output import print_json, print_result, warn

if TYPE_CHECKING:
    from quantcli.api.dequantizing import Dequantized, DequantizeRequest

EXAMPLES = """\b
Examples:
  quantcli dequantize clip-vit-large-patch14-int8 -o clip-plain
  quantcli dequantize ./my-model-int4 -o my-model-bf16 --dtype bfloat16
"""


def dequantize(
    directory: options.FrozenDirectory,
    output: options.NewDirectory,
    dtype: options.CastTo = None,
    max_shard_size: options.MaxShardSize = "5GB",
    jobs: options.Jobs = None,
    trust_remote_code: options.TrustRemoteCode = False,
    overwrite: options.OverwritePlain = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Write a frozen directory as an ordinary checkpoint again.

    The result holds the dequantized weights under the names of the original. It loads with
    transformers or diffusers alone, without quantcli and Quanto, and has the size of the original.
    Memory does not grow with the model.
    """
    began = time.perf_counter()
    from quantcli.api.dequantizing import DequantizeRequest, parse_dtype
    from quantcli.upstream.versions import version_warnings

    request = DequantizeRequest(
        directory=directory,
        output=output,
        dtype=None if dtype is None else parse_dtype(dtype),
        max_shard_size=options.parse_size(max_shard_size),
        jobs=jobs,
        trust_remote_code=trust_remote_code,
        overwrite=overwrite,
    )
    if not quiet:
        warn(version_warnings())
    result = _run(request, quiet=quiet)
    _show(result, time.perf_counter() - began, as_json=as_json, quiet=quiet)


def _run(request: DequantizeRequest, *, quiet: bool) -> Dequantized:
    """Dequantize with progress; exit if interrupted."""
    from quantcli.api.dequantizing import dequantize_request
    from quantcli.cli.terminal.progress import make_progress

    def on_plan() -> None:
        gc.enable()  # everything is imported, and a run can be long
        unwind_on_interrupt()

    progress = make_progress(quiet=quiet, what="dequantizing")
    try:
        return dequantize_request(request, progress=progress, on_plan=on_plan)
    except KeyboardInterrupt:
        raise interrupted(request.output) from None


def _show(result: Dequantized, seconds_total: float, *, as_json: bool, quiet: bool) -> None:
    if as_json:
        print_json(to_json(result, seconds_total))
    elif quiet:
        print_result(str(result.output))
    else:
        from quantcli.text import format_bytes

        sizes = f"{format_bytes(result.frozen_nbytes)} to {format_bytes(result.nbytes)}"
        dtype = f" in {result.dtype}" if result.dtype else ""
        print_result(f"{result.directory}: {sizes}{dtype}")
        seconds = f"{result.seconds:.1f} s ({seconds_total:.1f} s in total)"
        print_result(f"{result.output}: written in {seconds}")


def to_json(result: Dequantized, seconds_total: float) -> dict[str, Any]:
    """Return the JSON of a run."""
    from quantcli.api import peak_rss_bytes

    return {
        "directory": str(result.directory),
        "output": str(result.output),
        "model": result.model,
        "revision": result.revision,
        "weights": result.weights,
        "dtype": result.dtype,
        "frozen": {"bytes": result.frozen_nbytes},
        "bytes": result.nbytes,
        "seconds": result.seconds,
        "seconds_total": seconds_total,
        "peak_rss_bytes": peak_rss_bytes(),
    }
