"""What downloads show, and that nothing of it stays."""

from __future__ import annotations

import io

from quantcli.upstream.huggingface_hub import download_bars


def test_the_bars_of_downloads_go_away():
    written = io.StringIO()
    with download_bars(shown=True) as make:
        bar = make(total=3, file=written, desc="Reconstruction complete")
        assert not bar.disable
    assert bar.disable  # closed, though nobody closed it
    assert written.getvalue().endswith("\r")
    with download_bars(shown=False) as make:
        assert make(total=3, file=written).disable
