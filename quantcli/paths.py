"""Paths and model names as people type them: `~/models/x`, or the address of a model's page."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

from quantcli.errors import ModelError, UsageError

HOSTS = ("huggingface.co", "www.huggingface.co", "hf.co", "www.hf.co")
"""Hosts of model pages, besides that of HF_ENDPOINT."""

_OTHER_KINDS = ("datasets", "spaces", "collections", "papers", "docs", "blog")

_WITH_REVISION = ("tree", "blob", "resolve", "raw", "commit", "blame", "edit")
"""What comes before the revision in a page's address."""

MODEL_NAMES = "Hub models are written org/name"
"""A hint for a name or address that is not a model's."""


def expand(path: str | os.PathLike[str]) -> str:
    """Return a path with a leading `~` or `~user` replaced by the home folder.

    Raises `UsageError` if there is no such user.
    """
    text = os.fspath(path)
    if not text.startswith("~"):
        return text
    expanded = os.path.expanduser(text)  # noqa: PTH111 - pathlib drops a trailing slash
    if expanded.startswith("~"):
        user = text[1:].partition("/")[0]
        raise UsageError(f"{text}: no user {user}", hint=f"for a file of that name: ./{text}")
    return expanded


def model_name(model: str | os.PathLike[str]) -> str:
    """Return the folder or the Hub id ("org/name@revision") that a user typed.

    Expands `~`, and takes the id from the address of a model's page. Raises `UsageError` if there
    is no such user, `ModelError` if an address is not that of a model.
    """
    text = expand(model)
    address = _address(text)
    return text if address is None else _id(text, *address)


def _address(text: str) -> tuple[str, str] | None:
    """Return host and path if `text` is an address, else None. A folder of that name wins."""
    scheme, separator, rest = text.partition("://")
    if separator and scheme.lower() == "hf":
        return "hf.co", rest.removeprefix("models/")
    if separator and scheme.lower() in ("http", "https"):
        parts = urlsplit(text)
        return parts.netloc.lower(), parts.path
    host, _, path = text.partition("/")
    if host.lower() in HOSTS and path and not Path(text).exists():
        return host.lower(), path.partition("?")[0].partition("#")[0]
    return None


def _id(text: str, host: str, path: str) -> str:
    own = urlsplit(os.environ.get("HF_ENDPOINT", "")).netloc.lower()
    steps = [unquote(step) for step in path.split("/") if step]
    if host not in (*HOSTS, own):
        raise ModelError(f"{text} is not an address on the Hub", hint=MODEL_NAMES)
    if steps[:1] == ["models"]:
        steps = steps[1:]
    if not steps or steps[0] in _OTHER_KINDS:
        raise ModelError(f"{text} is not the page of a model", hint=MODEL_NAMES)
    # models without an organization, such as gpt2, have one step
    length = 1 if len(steps) > 1 and steps[1] in _WITH_REVISION else 2
    name, rest = "/".join(steps[:length]), steps[length:]
    if len(rest) > 1 and rest[0] in _WITH_REVISION:
        return f"{name}@{_revision(rest[1:])}"
    return name


def _revision(steps: list[str]) -> str:
    """Return the revision at the start of `steps`. Only "refs/…" contains slashes."""
    return "/".join(steps[:3]) if steps[0] == "refs" else steps[0]
