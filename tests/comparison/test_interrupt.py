"""Ctrl-C ends a comparison, and takes what was kept on disk away."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest


@pytest.mark.slow
def test_ctrl_c_leaves_nothing(tiny_model, tmp_path):
    folder = tiny_model("llama-untied")
    words = ["compare", folder, folder, "--samples", "500", "--max-tokens", "1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "quantcli", *map(str, words)],
        env=os.environ | {"TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("quantcli-*/*.safetensors")):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert (out, err.splitlines()[-1]) == ("", "error: interrupted")
    assert not list(tmp_path.glob("quantcli-*"))
