"""What this process uses, and what it gives back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from quantcli.process import release_mapped

FAULTS = """
import resource, sys, torch
from quantcli.process import keep_freed_memory

def work():
    for _ in range(20):
        torch.ones(1 << 22) + 1

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

if sys.argv[1] == "keep":
    keep_freed_memory()
work()
before = faults()
work()
print(faults() - before)
"""


def count_faults(mode, monkeypatch):
    for name in ("MALLOC_TOP_PAD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"):
        monkeypatch.delenv(name, raising=False)
    command = [sys.executable, "-c", FAULTS, mode]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def test_freed_memory_is_kept(monkeypatch):
    # by chance something lies above what is freed, and then glibc keeps it in any case
    without = (count_faults("default", monkeypatch) for _ in range(4))
    if all(count < 1000 for count in without):
        pytest.skip("this malloc keeps its memory anyway")
    assert all(count_faults("keep", monkeypatch) < 1000 for _ in range(2))


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
    release_mapped(mapped.data_ptr(), mapped.nbytes)
    assert resident(mapped.data_ptr()) < before / 10
    assert torch.equal(mapped, saved)


def test_other_memory_is_left_alone():
    own = torch.arange(1 << 20)
    release_mapped(own.data_ptr(), own.nbytes)
    assert torch.equal(own, torch.arange(1 << 20))
