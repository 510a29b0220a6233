"""How much memory this process uses."""

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
        # getrusage returns the peak of the parent process if that was larger
        found = re.search(r"^VmHWM:\s+(\d+) kB", _STATUS.read_text(), re.MULTILINE)
        if found:
            return int(found[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def reset_peak_rss() -> bool:
    """Reset the peak to what is resident now. Returns False if the system cannot do that."""
    try:
        _CLEAR.write_text("5")
    except OSError:
        return False
    return True
