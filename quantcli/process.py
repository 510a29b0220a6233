"""What this process takes of the machine."""

from __future__ import annotations

import re
import resource
import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


def peak_rss_bytes() -> int:
    """Return the peak resident memory of this process so far, in bytes."""
    if _STATUS.exists():
        # getrusage would tell the peak of the process that started this one, where that is larger
        found = re.search(r"^VmHWM:\s+(\d+) kB", _STATUS.read_text(), re.MULTILINE)
        if found:
            return int(found[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def reset_peak_rss() -> bool:
    """Begin to measure the peak anew, from what is resident now; False where that cannot be."""
    try:
        _CLEAR.write_text("5")
    except OSError:
        return False
    return True
