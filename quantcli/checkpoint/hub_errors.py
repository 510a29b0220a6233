"""Errors of the Hub and of the network, in the user's words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from quantcli.errors import MachineError, ModelError, QuantcliError
from quantcli.files import is_forbidden, is_full

if TYPE_CHECKING:
    from huggingface_hub.errors import HfHubHTTPError

LOG_IN = "log in with `hf auth login`, or set HF_TOKEN"


@contextmanager
def translated(repo: str, revision: str | None) -> Iterator[None]:
    """Turn what huggingface_hub raises for a repo into `ModelError` and `MachineError`."""
    import httpx2
    from huggingface_hub.errors import EntryNotFoundError, HFValidationError

    try:
        yield
    # OSError: huggingface_hub's own errors are of that kind, and so is a full disk.
    except (httpx2.HTTPError, EntryNotFoundError, HFValidationError, OSError) as error:
        raise explain(error, repo, revision) from error


def is_unreachable(error: Exception) -> bool:
    """Return whether the Hub did not respond, so that the cache is used instead."""
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    if isinstance(error, HfHubHTTPError):
        return error.response.status_code >= 500
    return isinstance(error, (httpx2.TransportError, OfflineModeIsEnabled))


def explain(error: Exception, repo: str, revision: str | None) -> QuantcliError:
    """Return our error for one that huggingface_hub raised for a repo."""
    from huggingface_hub import errors

    if isinstance(error, errors.LocalEntryNotFoundError) and isinstance(error.__cause__, Exception):
        # The cache lacks the file because of this.
        return explain(error.__cause__, repo, revision)
    if isinstance(error, errors.HfHubHTTPError):
        return _refused(error, repo, revision)
    if isinstance(error, OSError) and error.errno is not None:
        return _disk(error, repo)
    return _unanswered(error, repo)


def _unanswered(error: Exception, repo: str) -> ModelError:
    from huggingface_hub import errors

    match error:
        case errors.HFValidationError():
            return ModelError(
                f"{repo!r} is neither a folder nor a model name",
                hint="Hub models are written org/name or org/name@revision",
            )
        case errors.OfflineModeIsEnabled() | errors.LocalEntryNotFoundError():
            return ModelError(
                f"offline, and {repo} is not fully cached",
                hint=f"unset HF_HUB_OFFLINE, or run `hf download {repo}` while online",
            )
        case errors.FileMetadataError():
            return ModelError(f"{endpoint()} is not a Hub", hint="check HF_ENDPOINT")
        case OSError():
            return ModelError(f"{repo} could not be downloaded: {error}", hint="try again")
    return ModelError(
        f"cannot reach {endpoint()}, and {repo} is not fully cached",
        hint=f"check the network, its proxy and HF_ENDPOINT ({error})",
    )


def _disk(error: OSError, repo: str) -> QuantcliError:
    """Return the error for files of a repo that cannot be written or read on this machine."""
    where = error.filename or "the cache"
    if is_full(error):
        return MachineError(
            f"no space left for {repo} in {where}",
            hint="free some space, or set HF_HOME to a folder on another disk",
        )
    if is_forbidden(error):
        return MachineError(
            f"no permission to write {where}", hint="set HF_HOME to a folder you can write"
        )
    return ModelError(f"{repo} could not be downloaded: {error}", hint="try again")


def endpoint() -> str:
    """Return the address of the Hub in use."""
    from huggingface_hub import HfApi

    return HfApi().endpoint


def _refused(error: HfHubHTTPError, repo: str, revision: str | None) -> ModelError:
    from huggingface_hub import errors

    match error:
        case errors.RevisionNotFoundError():
            return ModelError(
                f"no revision {revision} of {repo}",
                hint="use an existing branch, tag or commit",
            )
        case errors.RemoteEntryNotFoundError():
            return ModelError(f"{repo}: a listed file is missing: {error}", hint="try again")
        case errors.GatedRepoError():
            return ModelError(
                f"{repo} is gated, and you do not have access",
                hint=f"accept its terms at {endpoint()}/{repo}, then {LOG_IN}",
            )
        case errors.RepositoryNotFoundError():
            return ModelError(
                f"no model {repo} on {endpoint()}, and no folder {repo}",
                hint=f"check the name; if it is private, {LOG_IN}",
            )
        case errors.DisabledRepoError():
            return ModelError(f"{repo} is disabled on {endpoint()}")
    return _refused_by_status(error.response.status_code, repo)


def _refused_by_status(status: int, repo: str) -> ModelError:
    if status in (401, 403):
        return ModelError(f"{endpoint()} refused access to {repo} (HTTP {status})", hint=LOG_IN)
    if status == 429:
        return ModelError(
            f"{endpoint()}: too many requests (HTTP 429)",
            hint=f"try again in a few minutes; {LOG_IN} for a higher limit",
        )
    return ModelError(
        f"{endpoint()} failed (HTTP {status}), and {repo} is not cached",
        hint="try again later",
    )
