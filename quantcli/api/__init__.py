"""The Python API behind `import quantcli` and behind the command line."""

from quantcli.api.freezing import (
    Frozen,
    default_output,
    peak_rss_bytes,
    quantize,
    quantize_request,
)
from quantcli.api.request import MAX_SHARD_SIZE, Request, make_request, plan, plan_request
from quantcli.api.sizing import Footprint, Prediction, size

__all__ = [
    "MAX_SHARD_SIZE",
    "Footprint",
    "Frozen",
    "Prediction",
    "Request",
    "default_output",
    "make_request",
    "peak_rss_bytes",
    "plan",
    "plan_request",
    "quantize",
    "quantize_request",
    "size",
]
