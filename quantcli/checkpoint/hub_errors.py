"""What the Hub or the way to it refused, in the user's words."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from quantcli.errors import MachineError, ModelError, QuantcliError

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
    """Tell whether an error means that the Hub did not answer, so that the cache may."""
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    if isinstance(error, HfHubHTTPError):
        return error.response.status_code >= 500
    return isinstance(error, (httpx2.TransportError, OfflineModeIsEnabled))


def explain(error: Exception, repo: str, revision: str | None) -> QuantcliError:
    """Return the error that says to a user what `error`, raised for a repo, means."""
    from huggingface_hub import errors

    if isinstance(error, errors.LocalEntryNotFoundError) and isinstance(error.__cause__, Exception):
        # What really happened, if it was no lack in the cache.
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
                f"{repo!r} is neither a folder that exists nor the name of a model",
                hint="a name looks like org/name or org/name@revision",
            )
        case errors.OfflineModeIsEnabled() | errors.LocalEntryNotFoundError():
            return ModelError(
                f"offline, and not all that is needed of {repo} is in the cache",
                hint=f"unset HF_HUB_OFFLINE, or run `hf download {repo}` while online",
            )
        case errors.FileMetadataError():
            return ModelError(f"{endpoint()} does not answer as a Hub does", hint="see HF_ENDPOINT")
        case OSError():
            return ModelError(f"{repo} could not be downloaded: {error}", hint="try again")
    return ModelError(
        f"cannot reach {endpoint()}, and not all that is needed of {repo} is in the cache",
        hint=f"check the network, its proxy and HF_ENDPOINT ({error})",
    )


def _disk(error: OSError, repo: str) -> QuantcliError:
    """Return the error that says to a user why a repo's files could not be kept or read."""
    where = error.filename or "the cache"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return MachineError(
            f"no space left for {repo} in {where}", hint="free some, or set HF_HOME to another disk"
        )
    if isinstance(error, PermissionError) or error.errno == errno.EROFS:
        return MachineError(
            f"no permission to write {where}", hint="set HF_HOME to a folder that is yours"
        )
    return ModelError(f"{repo} could not be downloaded: {error}", hint="try again")


def endpoint() -> str:
    """Return the address of the Hub that is asked."""
    from huggingface_hub import constants

    return constants.ENDPOINT


def _refused(error: HfHubHTTPError, repo: str, revision: str | None) -> ModelError:
    from huggingface_hub import errors

    match error:
        case errors.RevisionNotFoundError():
            return ModelError(
                f"no revision {revision} of {repo}",
                hint="give a branch, a tag or a commit that exists",
            )
        case errors.RemoteEntryNotFoundError():
            return ModelError(f"{repo} lacks a file that it listed: {error}", hint="try again")
        case errors.GatedRepoError():
            return ModelError(
                f"{repo} is gated, and you have no access",
                hint=f"accept its terms at {endpoint()}/{repo}, then {LOG_IN}",
            )
        case errors.RepositoryNotFoundError():
            return ModelError(
                f"no model {repo} on {endpoint()}, and no folder of that name",
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
            f"{endpoint()} answers too many requests (HTTP 429)",
            hint=f"wait a little; {LOG_IN} for a higher limit",
        )
    return ModelError(
        f"{endpoint()} failed for {repo} (HTTP {status}), and the cache lacks it",
        hint="try again later",
    )
