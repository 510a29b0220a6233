"""How much memory this process uses, and could use."""

from __future__ import annotations

import ctypes
import os
import re
import resource
import sys
from collections.abc import Iterable
from pathlib import Path

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
_MEMORY = Path("/proc/meminfo")
_MAPS = Path("/proc/self/maps")

_PAGE = os.sysconf("SC_PAGE_SIZE")
_DONTNEED = 4
"""`MADV_DONTNEED` of Linux, the one system with /proc."""

_LARGEST_THRESHOLD = (32 << 20) - 4 * _PAGE
"""A little less than glibc lets its threshold grow to."""


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


def keep_freed_memory() -> None:
    """Let glibc keep up to 64 MB of freed memory, until the process ends.

    By default it returns the memory of large tensors at once, and each of their pages costs a fault
    again: a third of the time of an encoder in int8. To free a block of nearly 32 MB, which is
    never touched, raises both of its thresholds (mallopt(3), M_MMAP_THRESHOLD), unless the
    environment sets them. With another malloc it has no effect.
    """
    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
    libc.free(libc.malloc(ctypes.c_size_t(_LARGEST_THRESHOLD)))


def release_mapped(spans: Iterable[tuple[int, int]]) -> None:
    """Take whole pages out of this process that are mapped from a file; they stay in the cache.

    Spans are addresses with lengths in bytes. The pages come back, as they are in the file, if they
    are read again. Memory that no file backs is left alone, and all of it where the system does not
    say what is mapped.
    """
    if not _MAPS.exists():
        return
    pages = [(-(-at // _PAGE) * _PAGE, (at + nbytes) // _PAGE * _PAGE) for at, nbytes in spans]
    libc = ctypes.CDLL(None, use_errno=True)
    for line in _MAPS.read_text().splitlines():
        addresses, access, _, _, inode, *_ = line.split(maxsplit=5)
        if inode == "0" or not access.endswith("p"):
            continue  # no file, or one that changes are written to
        low, high = (int(each, 16) for each in addresses.split("-"))
        for start, end in pages:
            if low <= start < end <= high:
                libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), _DONTNEED)


def available_memory() -> int:
    """Return the bytes of memory that a process can still take without swapping.

    Without /proc, half of the machine's memory.
    """
    if _MEMORY.exists():
        found = re.search(r"^MemAvailable:\s+(\d+) kB", _MEMORY.read_text(), re.MULTILINE)
        if found:
            return int(found[1]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
