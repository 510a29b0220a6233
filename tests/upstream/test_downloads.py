"""What downloads show, and that nothing of it stays."""

from __future__ import annotations

import io
from functools import partial

from tqdm import tqdm

from quantcli.upstream.huggingface_hub import Bars, download_bars


def test_bars_go_away_at_the_end():
    written = io.StringIO()
    with Bars(partial(tqdm, leave=False)) as make:
        bar = make(total=3, file=written, desc="Reconstruction complete")
        assert not bar.disable
        assert "Reconstruction complete" in written.getvalue()
    assert bar.disable  # closed, though nobody closed it
    assert written.getvalue().endswith("\r")


def test_bars_may_be_hidden():
    written = io.StringIO()
    with download_bars(shown=False) as make:
        assert make(total=3, file=written).disable
    assert not written.getvalue()
