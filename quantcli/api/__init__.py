"""The Python API behind `import quantcli` and behind the command line."""

from quantcli.api.comparing import compare, compare_request, make_compare_request
from quantcli.api.freezing import (
    Frozen,
    default_output,
    quantize,
    quantize_request,
)
from quantcli.api.inspecting import InspectRequest, inspect, inspect_frozen, inspect_request
from quantcli.api.request import (
    MAX_SHARD_SIZE,
    Request,
    check_plan,
    make_request,
    plan,
    plan_request,
)
from quantcli.api.sizing import ComponentSize, Footprint, Prediction, size, summaries_of
from quantcli.comparison.request import CompareRequest
from quantcli.process import peak_rss_bytes

__all__ = [
    "MAX_SHARD_SIZE",
    "CompareRequest",
    "ComponentSize",
    "Footprint",
    "Frozen",
    "InspectRequest",
    "Prediction",
    "Request",
    "check_plan",
    "compare",
    "compare_request",
    "default_output",
    "inspect",
    "inspect_frozen",
    "inspect_request",
    "make_compare_request",
    "make_request",
    "peak_rss_bytes",
    "plan",
    "plan_request",
    "quantize",
    "quantize_request",
    "size",
    "summaries_of",
]
