"""Private names of huggingface_hub."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING, Any

from quantcli.upstream.names import relies_on

if TYPE_CHECKING:
    import httpx2

_UTILS = "huggingface_hub.utils"


@relies_on(f"{_UTILS}.tqdm", to="show the progress of downloads")
def download_bar(*, shown: bool) -> Any:
    """Return a `tqdm_class` for downloads whose bars go away at the end, or are not shown."""
    from huggingface_hub.utils import tqdm  # type: ignore[attr-defined]

    return partial(tqdm, leave=False) if shown else partial(tqdm, disable=True)


@relies_on(f"{_UTILS}.build_hf_headers", f"{_UTILS}.http_stream_backoff", to="read parts of files")
def request_range(
    url: str, start: int, nbytes: int, *, timeout: float
) -> AbstractContextManager[httpx2.Response]:
    """Request bytes of a file with the user's token; the response is streamed.

    Tries again twice. A server that does not support ranges sends the whole file, with status 200.
    """
    from huggingface_hub.utils import (  # type: ignore[attr-defined]
        build_hf_headers,
        http_stream_backoff,
    )

    headers = build_hf_headers(library_name="quantcli")
    # a range of a compressed response would be another range
    headers |= {"Range": f"bytes={start}-{start + nbytes - 1}", "Accept-Encoding": "identity"}
    response: AbstractContextManager[httpx2.Response] = http_stream_backoff(
        "GET", url, headers=headers, timeout=timeout, max_retries=2
    )
    return response
