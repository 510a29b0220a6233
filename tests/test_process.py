"""What this process uses, and what it gives back."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from quantcli.process import release_mapped

MAPPED = """
import ctypes
from quantcli.process import keep_freed_memory

libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]

def is_mapped():
    # glibc keeps the size of a block before it, and in the second bit whether it is mapped alone
    return bool(ctypes.c_size_t.from_address(libc.malloc(30 << 20) - 8).value & 2)

before = is_mapped()
keep_freed_memory()
print(before, is_mapped())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="not the malloc of glibc")
def test_large_blocks_are_kept_when_they_are_freed(monkeypatch):
    for name in ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_"):
        monkeypatch.delenv(name, raising=False)
    found = subprocess.run([sys.executable, "-c", MAPPED], check=True, capture_output=True)
    assert found.stdout.decode().split() == ["True", "False"]


def resident(address):
    """Return the kB of memory in the mapping that holds an address."""
    inside = False
    with Path("/proc/self/smaps").open() as lines:
        for line in lines:
            if "-" in line.split(maxsplit=1)[0]:
                low, high = (int(each, 16) for each in line.split(maxsplit=1)[0].split("-"))
                inside = low <= address < high
            elif inside and line.startswith("Rss:"):
                return int(line.split()[1])
    raise AssertionError("not mapped")


def test_mapped_pages_are_given_back_and_come_again(tmp_path):
    saved = torch.arange(1 << 20)
    save_file({"x": saved}, tmp_path / "x.safetensors")
    with safe_open(tmp_path / "x.safetensors", framework="pt") as file:
        mapped = file.get_tensor("x")
    assert torch.equal(mapped, saved)
    before = resident(mapped.data_ptr())
    release_mapped([(mapped.data_ptr(), mapped.nbytes)])
    assert resident(mapped.data_ptr()) < before / 10
    assert torch.equal(mapped, saved)


def test_other_memory_is_left_alone():
    own = torch.arange(1 << 20)
    release_mapped([(own.data_ptr(), own.nbytes)])
    assert torch.equal(own, torch.arange(1 << 20))
