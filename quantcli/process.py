"""How much memory this process uses, and could use."""

from __future__ import annotations

import os
import re
import resource
import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
_MEMORY = Path("/proc/meminfo")


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


def available_memory() -> int:
    """Return the bytes of memory that a process can still take without swapping.

    Without /proc, half of the machine's memory.
    """
    if _MEMORY.exists():
        found = re.search(r"^MemAvailable:\s+(\d+) kB", _MEMORY.read_text(), re.MULTILINE)
        if found:
            return int(found[1]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
