"""Private names of huggingface_hub."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, closing
from functools import partial
from typing import TYPE_CHECKING, Any

from quantcli.upstream.names import relies_on

if TYPE_CHECKING:
    import httpx2

_UTILS = "huggingface_hub.utils"


class Bars(ExitStack):
    """A `tqdm_class` for downloads, which closes its bars at the end.

    huggingface_hub leaves some of them open, and they would stay until they are collected.
    """

    def __init__(self, make: Callable[..., Any]) -> None:
        super().__init__()
        self._make = make

    def __call__(self, *given: Any, **options: Any) -> Any:
        """Make a bar."""
        return self.enter_context(closing(self._make(*given, **options)))


@relies_on(f"{_UTILS}.tqdm", to="show the progress of downloads")
def download_bars(*, shown: bool) -> Bars:
    """Return what makes bars that go away at the end, or are not shown."""
    from huggingface_hub.utils import tqdm  # type: ignore[attr-defined]

    return Bars(partial(tqdm, leave=False) if shown else partial(tqdm, disable=True))


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
