"""Inspect a frozen directory against its original, and print what that took beyond the imports."""

import json
import sys
import time

import optimum.quanto  # noqa: F401 - an import, not a part of inspecting
from transformers import CLIPModel  # noqa: F401 - as above

import quantcli
from quantcli.api import peak_rss_bytes

began = time.perf_counter()
quantcli.inspect(sys.argv[1], against=sys.argv[2])
seconds = time.perf_counter() - began
print(json.dumps({"seconds": seconds, "peak": peak_rss_bytes()}))
