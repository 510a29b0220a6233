"""A small Hub on loopback: what huggingface_hub asks of the real one, and a count of every byte.

    with Hub(home) as hub:
        hub.add_repo("org/name", folder)
        subprocess.run([...], env=hub.env())

Models only. A repo has commits and branches; it may be private or gated, and then a token opens
it. Every answered request is kept in `hub.requests`.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar, Self
from urllib.parse import parse_qs, quote, unquote, urlsplit

import pytest

TOKEN = "hf_loopback"
"""The token that opens private and gated repos."""

LFS_SUFFIXES = (".safetensors", ".bin", ".h5", ".onnx", ".msgpack")
"""Files that the Hub keeps as LFS objects, and lists with their sha256."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One answered request; `sent` is the bytes of the body."""

    method: str
    path: str
    status: int
    sent: int
    range: str | None


@dataclass(slots=True, kw_only=True)
class Repo:
    """A repo: the files of each commit, and the commit of each branch or tag."""

    commits: dict[str, dict[str, Path]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    private: bool = False
    gated: bool = False

    def commit(self, revision: str) -> str | None:
        sha = self.refs.get(revision, revision)
        return sha if sha in self.commits else None


class Hub:
    """The server; a context manager that serves on a free port of 127.0.0.1 and then stops.

    `home` is the HF_HOME of its clients. `fail_with` makes every answer that status; `ranges`
    off makes it a server that ignores ranges. With `cdn`, large files are elsewhere: on another
    origin, to which the Hub redirects, and which refuses to see the token.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self.repos: dict[str, Repo] = {}
        self.requests: list[Request] = []
        self.fail_with: int | None = None
        self.ranges = True
        self.cdn = False
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop answering: later requests are refused by the machine itself."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def endpoint(self) -> str:
        host, port = self._server.server_address[:2]
        return f"http://{host}:{port}"

    @property
    def bytes_sent(self) -> int:
        """Bytes of all bodies since the start, or since `forget`."""
        return sum(request.sent for request in self.requests)

    def forget(self) -> None:
        """Begin to count anew."""
        self.requests.clear()

    def add_repo(
        self,
        repo_id: str,
        folder: Path,
        *,
        revision: str = "main",
        private: bool = False,
        gated: bool = False,
    ) -> str:
        """Make `folder`, as it is now, the newest commit of a branch; return that commit."""
        repo = self.repos.setdefault(repo_id, Repo())
        repo.private, repo.gated = private, gated
        files = {
            path.relative_to(folder).as_posix(): path
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }
        state = "".join(f"{name} {_blob_id(path)}\n" for name, path in files.items())
        sha = hashlib.sha1(f"{repo_id} {revision}\n{state}".encode()).hexdigest()
        repo.commits[sha] = files
        repo.refs[revision] = sha
        return sha

    def env(self, *, token: str | None = None, offline: bool = False) -> dict[str, str]:
        """Return the environment in which a subprocess talks to this Hub only."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        extra = {"HF_TOKEN": token} if token else {}
        return kept | extra | self._settings() | {"HF_HUB_OFFLINE": "1" if offline else "0"}

    def _settings(self) -> dict[str, str]:
        return {
            "HF_ENDPOINT": self.endpoint,
            "HF_HOME": str(self.home),
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_XET": "1",
            "NO_PROXY": "127.0.0.1",
        }

    @contextmanager
    def in_process(self, *, token: str | None = None, offline: bool = False) -> Iterator[None]:
        """Make this very process talk to this Hub only, for a while.

        huggingface_hub reads its environment when it is imported, so its constants are set too.
        """
        from huggingface_hub import close_session, constants

        with pytest.MonkeyPatch.context() as patch:
            for name, value in self._settings().items():
                patch.setenv(name, value)
            patch.delenv("HF_TOKEN", raising=False)
            patch.delenv("HUGGING_FACE_HUB_TOKEN", raising=False)
            if token:
                patch.setenv("HF_TOKEN", token)
            cache = self.home / "hub"
            patch.setattr(constants, "ENDPOINT", self.endpoint)
            template = self.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
            patch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
            patch.setattr(constants, "HF_HOME", str(self.home))
            patch.setattr(constants, "HF_HUB_CACHE", str(cache))
            patch.setattr(constants, "HF_TOKEN_PATH", str(self.home / "token"))
            patch.setattr(constants, "HF_STORED_TOKENS_PATH", str(self.home / "stored_tokens"))
            patch.setattr(constants, "HF_HUB_OFFLINE", offline)
            patch.setattr(constants, "HF_HUB_DISABLE_XET", True)
            patch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
            close_session()
            try:
                yield
            finally:
                close_session()


def _blob_id(path: Path) -> str:
    return _digests(path, path.stat().st_mtime_ns)[0]


def _sha256(path: Path) -> str:
    return _digests(path, path.stat().st_mtime_ns)[1]


@functools.lru_cache(maxsize=1000)
def _digests(path: Path, changed: int) -> tuple[str, str]:
    """Return git's name and the sha256 of a file, as it was when it was `changed`."""
    del changed
    content = path.read_bytes()
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content)
    return blob.hexdigest(), hashlib.sha256(content).hexdigest()


def _is_lfs(name: str) -> bool:
    return name.endswith(LFS_SUFFIXES)


class _Refusal(Exception):  # noqa: N818 - an answer, not an error
    """An answer other than the one that was asked for."""

    def __init__(self, status: HTTPStatus, code: str | None, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


def _not_found(kind: str) -> _Refusal:
    return _Refusal(HTTPStatus.NOT_FOUND, f"{kind}NotFound", f"{kind} not found")


class _Handler(BaseHTTPRequestHandler):
    """Answers for one Hub. HTTP/1.1, since clients keep their connections."""

    hub: ClassVar[Hub]
    protocol_version = "HTTP/1.1"
    # Without it, small answers wait for the acknowledgement of the ones before (40 ms each).
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._send(HTTPStatus.NOT_FOUND, b"{}")

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self) -> None:
        try:
            self._route()
        except _Refusal as refusal:
            headers = {"X-Error-Message": str(refusal)}
            if refusal.code:
                headers["X-Error-Code"] = refusal.code
            body = json.dumps({"error": str(refusal)}).encode()
            self._send(refusal.status, body, headers)

    def _route(self) -> None:
        if self.hub.fail_with is not None:
            raise _Refusal(HTTPStatus(self.hub.fail_with), None, "as the test wants it")
        url = urlsplit(self.path)
        query = parse_qs(url.query)
        parts = [unquote(part) for part in url.path.strip("/").split("/")]
        if parts[:2] == ["api", "models"]:
            self._route_api(parts[2:], query)
        elif parts[0] == "cdn":
            self._resolve_cdn(*parts[1:])
        elif "resolve" in parts:
            at = parts.index("resolve")
            self._resolve("/".join(parts[:at]), parts[at + 1], "/".join(parts[at + 2 :]))
        else:
            raise _not_found("Entry")

    def _route_api(self, parts: list[str], query: dict[str, list[str]]) -> None:
        match parts:
            case [*name, "tree", revision] if name:
                self._tree("/".join(name), revision)
            case [*name, "revision", revision] if name:
                self._info("/".join(name), revision, blobs="blobs" in query)
            case [*name, "refs"] if name:
                self._refs("/".join(name))
            case _:
                self._info("/".join(parts), "main", blobs="blobs" in query)

    def _authorized(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def _repo(self, name: str) -> Repo:
        repo = self.hub.repos.get(name)
        sent = self.headers.get("Authorization")
        if sent and not self._authorized():
            message = "Invalid credentials in Authorization header"
            raise _Refusal(HTTPStatus.UNAUTHORIZED, None, message)
        if repo is None or (repo.private and not self._authorized()):
            # As the real one: without a token, what is not there and what is private look alike.
            status = HTTPStatus.NOT_FOUND if self._authorized() else HTTPStatus.UNAUTHORIZED
            raise _Refusal(status, "RepoNotFound", "Repository not found")
        return repo

    def _commit(self, name: str, revision: str) -> tuple[str, dict[str, Path]]:
        repo = self._repo(name)
        sha = repo.commit(revision)
        if sha is None:
            raise _not_found("Revision")
        return sha, repo.commits[sha]

    def _info(self, name: str, revision: str, *, blobs: bool) -> None:
        sha, files = self._commit(name, revision)
        repo = self.hub.repos[name]
        siblings = [_sibling(file, path, blobs=blobs) for file, path in files.items()]
        info = {
            "_id": sha[:24],
            "id": name,
            "modelId": name,
            "sha": sha,
            "private": repo.private,
            "gated": "auto" if repo.gated else False,
            "disabled": False,
            "downloads": 0,
            "likes": 0,
            "tags": [],
            "siblings": siblings,
        }
        self._send_json(info, {"X-Repo-Commit": sha})

    def _tree(self, name: str, revision: str) -> None:
        sha, files = self._commit(name, revision)
        entries = []
        for file, path in files.items():
            size = path.stat().st_size
            entry = {"type": "file", "path": file, "size": size, "oid": _blob_id(path)}
            if _is_lfs(file):
                entry["lfs"] = {"oid": _sha256(path), "size": size, "pointerSize": 134}
            entries.append(entry)
        self._send_json(entries, {"X-Repo-Commit": sha})

    def _refs(self, name: str) -> None:
        branches = [
            {"name": ref, "ref": f"refs/heads/{ref}", "targetCommit": sha}
            for ref, sha in self._repo(name).refs.items()
        ]
        self._send_json({"branches": branches, "tags": [], "converts": []})

    def _resolve(self, name: str, revision: str, file: str) -> None:
        sha, files = self._commit(name, revision)
        if self.hub.repos[name].gated and not self._authorized():
            message = f"Access to model {name} is restricted"
            raise _Refusal(HTTPStatus.FORBIDDEN, "GatedRepo", message)
        if file not in files:
            refusal = _not_found("Entry")
            body = json.dumps({"error": str(refusal)}).encode()
            headers = {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": sha}
            self._send(refusal.status, body, headers)
            return
        if self.hub.cdn and _is_lfs(file):
            self._redirect(sha, files[file])
            return
        self._send_file(sha, files[file], lfs=_is_lfs(file))

    def _redirect(self, sha: str, path: Path) -> None:
        elsewhere = self.hub.endpoint.replace("127.0.0.1", "localhost")
        headers = {
            "X-Repo-Commit": sha,
            "X-Linked-ETag": f'"{_sha256(path)}"',
            "X-Linked-Size": str(path.stat().st_size),
            "Location": f"{elsewhere}/cdn/{sha}/{_sha256(path)}",
        }
        self._send(HTTPStatus.FOUND, b"", headers)

    def _resolve_cdn(self, sha: str, digest: str) -> None:
        if self.headers.get("Authorization"):
            raise _Refusal(HTTPStatus.BAD_REQUEST, None, "the token was given to a stranger")
        commits = [repo.commits.get(sha, {}) for repo in self.hub.repos.values()]
        for path in (path for files in commits for path in files.values()):
            if _sha256(path) == digest:
                self._send_file(sha, path, lfs=True)
                return
        raise _not_found("Entry")

    def _send_file(self, sha: str, path: Path, *, lfs: bool) -> None:
        size = path.stat().st_size
        headers = {
            "X-Repo-Commit": sha,
            "ETag": f'"{_sha256(path) if lfs else _blob_id(path)}"',
            "Accept-Ranges": "bytes",
            "Content-Disposition": f'inline; filename="{quote(path.name)}"',
        }
        span = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        start, end, status = 0, size, HTTPStatus.OK
        if span and self.hub.ranges:
            start = int(span[1])
            end = min(int(span[2]) + 1 if span[2] else size, size)
            if start >= size:
                raise _Refusal(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, None, "no such range")
            status = HTTPStatus.PARTIAL_CONTENT
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
        with path.open("rb") as stream:
            stream.seek(start)
            self._send(status, stream.read(end - start), headers, "application/octet-stream")

    def _send_json(self, value: object, headers: dict[str, str] | None = None) -> None:
        self._send(HTTPStatus.OK, json.dumps(value).encode(), headers)

    def _send(
        self,
        status: HTTPStatus,
        body: bytes,
        headers: dict[str, str] | None = None,
        kind: str = "application/json; charset=utf-8",
    ) -> None:
        content = b"" if self.command == "HEAD" else body
        # Noted before it is sent: the client may look as soon as it has the answer.
        self.hub.requests.append(
            Request(
                method=self.command,
                path=self.path,
                status=int(status),
                sent=len(content),
                range=self.headers.get("Range"),
            )
        )
        self.send_response(status)
        fixed = {"Content-Type": kind, "Content-Length": str(len(body)), "X-Request-Id": "loopback"}
        for name, value in {**fixed, **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        try:
            self.wfile.write(content)
            self.wfile.flush()
        except ConnectionError:
            # The client has read as much as it wanted.
            self.close_connection = True


def _sibling(file: str, path: Path, *, blobs: bool) -> dict[str, object]:
    sibling: dict[str, object] = {"rfilename": file}
    if blobs:
        size = path.stat().st_size
        sibling |= {"size": size, "blobId": _blob_id(path)}
        if _is_lfs(file):
            sibling["lfs"] = {"sha256": _sha256(path), "size": size, "pointerSize": 134}
    return sibling


def _handler(hub: Hub) -> type[_Handler]:
    return type("HubHandler", (_Handler,), {"hub": hub})
