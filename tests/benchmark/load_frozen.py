"""Load a frozen directory, and print what that took beyond the imports."""

import json
import os
import sys
import time
from pathlib import Path

import optimum.quanto  # noqa: F401 - an import, not a part of loading
from transformers import CLIPModel  # noqa: F401 - as above

import quantcli
from quantcli.api import peak_rss_bytes


def resident_bytes() -> int:
    """Return the resident memory now; where the system does not tell, the peak so far."""
    statm = Path("/proc/self/statm")
    if not statm.exists():
        return peak_rss_bytes()
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


resident, began = resident_bytes(), time.perf_counter()
quantcli.load(sys.argv[1])
seconds = time.perf_counter() - began
print(json.dumps({"seconds": seconds, "added": peak_rss_bytes() - resident}))
