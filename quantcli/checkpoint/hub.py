"""A checkpoint in a Hub repo: listed and sampled over the network, downloaded into the HF cache.

huggingface_hub does it all, so its cache, HF_HOME, HF_ENDPOINT, HF_HUB_OFFLINE and tokens work as
usual. The revision is resolved to a commit once; later requests name the commit.
"""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quantcli.checkpoint.folder import list_files, read_file_range
from quantcli.checkpoint.hub_errors import explain, is_unreachable, translated
from quantcli.checkpoint.records import ENTRANCES, ModelFiles
from quantcli.errors import ModelError
from quantcli.upstream.huggingface_hub import download_bars, request_range

if TYPE_CHECKING:
    from huggingface_hub import HfApi

TIMEOUT = 10.0
"""Seconds to wait for a response of the Hub."""


class HubRepo(ModelFiles):
    """The files of a model repo at one commit.

    Raises `ModelError` if it does not exist, may not be read, or if there is no network and the
    cache lacks some of it.
    """

    def __init__(self, model: str, revision: str | None, *, progress: bool) -> None:
        self.model = model
        self._requested = revision
        self._progress = progress
        self._sizes: dict[str, int] = {}
        with translated(model, revision):
            self._resolve()

    @property
    def sizes(self) -> Mapping[str, int]:
        """The bytes of every file of the repo."""
        return self._sizes

    def path(self, file: str) -> Path:
        """Return the path of a file in the cache. Raises `ModelError` if it is not there."""
        path = self.cached(file)
        if path is None:
            raise ModelError(f"{file} of {self.model} is not in the cache")
        return path

    def cached(self, file: str) -> Path | None:
        """Return the path of a file in the cache, or None."""
        from huggingface_hub import try_to_load_from_cache

        path = try_to_load_from_cache(self.model, file, revision=self.revision)
        return Path(path) if isinstance(path, str) else None

    def fetch(self, files: Iterable[str]) -> Path:
        """Download the files that are not in the cache, and return their folder there."""
        wanted = list(files)
        missing = [file for file in wanted if self.cached(file) is None]
        with translated(self.model, self._requested):
            if len(missing) == 1:
                self._download(missing[0])
            elif missing:
                self._download_all(missing)
        # Up from the file, by the number of folders in its name.
        return self.path(wanted[0]).parents[wanted[0].count("/")]

    def read_range(self, file: str, start: int, nbytes: int) -> bytes:
        """Return exactly `nbytes` bytes of a file, from `start`, from the cache or the Hub."""
        path = self.cached(file)
        if path is not None:
            return read_file_range(path, file, start, nbytes)
        with translated(self.model, self._requested):
            content = self._request_range(file, start, nbytes)
        if len(content) < nbytes:
            raise ModelError(
                f"{file} of {self.model}: {nbytes - len(content):,} bytes are missing",
                hint="try again",
            )
        return content

    def _resolve(self) -> None:
        import httpx2

        try:
            info = _api().model_info(
                self.model, revision=self._requested, files_metadata=True, timeout=TIMEOUT
            )
        except (httpx2.HTTPError, OSError) as error:
            if not is_unreachable(error):
                raise
            self._resolve_from_cache(error)
            return
        self.revision = info.sha
        self._sizes = {file.rfilename: file.size or 0 for file in info.siblings or ()}

    def _resolve_from_cache(self, error: Exception) -> None:
        """Find the commit and its files in the cache, as the Hub could not be reached: `error`."""
        from huggingface_hub import get_cached_repo_tree
        from huggingface_hub.errors import CachedRepoTreeNotFoundError, RevisionResolutionError

        refusal = explain(error, self.model, self._requested)
        try:
            commit = _api().resolve_revision(
                self.model, revision=self._requested, local_files_only=True
            )
        except RevisionResolutionError:
            raise refusal from error
        self.revision = commit.resolved
        found = (path for name in ENTRANCES if (path := self.cached(name)) is not None)
        known = next(found, None)
        if known is None:
            raise refusal from error
        here = list_files(known.parent)
        try:
            tree = get_cached_repo_tree(self.model, revision=self.revision)
        except CachedRepoTreeNotFoundError:
            if not any(name.endswith((".safetensors", ".bin")) for name in here):
                raise refusal from error
            self._sizes = here
        else:
            self._sizes = {file.path: file.size for file in tree}

    def _download(self, file: str) -> None:
        from huggingface_hub import hf_hub_download

        # What is read first is named by its branch, so that the cache records the commit of the
        # branch and finds it offline; everything else is named by the commit.
        if file in ENTRANCES:
            with self._options() as options:
                hf_hub_download(self.model, file, revision=self._requested, **options)
        if self.cached(file) is None:
            with self._options() as options:
                hf_hub_download(self.model, file, revision=self.revision, **options)

    def _download_all(self, files: list[str]) -> None:
        from huggingface_hub import snapshot_download

        with self._options() as options:
            snapshot_download(
                self.model,
                revision=self.revision,
                allow_patterns=[glob.escape(file) for file in files],
                **options,
            )

    @contextmanager
    def _options(self) -> Iterator[dict[str, Any]]:
        with download_bars(shown=self._progress) as bars:
            yield {"library_name": "quantcli", "tqdm_class": bars}

    def _request_range(self, file: str, start: int, nbytes: int) -> bytes:
        from huggingface_hub import hf_hub_url, hf_raise_for_status

        if nbytes == 0:
            return b""
        url = hf_hub_url(self.model, file, revision=self.revision)
        with request_range(url, start, nbytes, timeout=TIMEOUT) as response:
            hf_raise_for_status(response)
            # A server without ranges sends the whole file: read up to the end of the range.
            skip = 0 if response.status_code == 206 else start
            content = bytearray()
            for chunk in response.iter_bytes():
                content += chunk
                if len(content) >= skip + nbytes:
                    break
        return bytes(content[skip : skip + nbytes])


def _api() -> HfApi:
    from huggingface_hub import HfApi

    return HfApi(library_name="quantcli")
