"""A small Hugging Face hub on loopback: the routes and headers that downloads use, and faults to switch on.

As the real one: `/{owner}/{repo}/resolve/{revision}/{path}` redirects to a CDN on another host for files in
Git LFS (with size and sha256 in headers of the redirect), and to a cache on its own host for the others.
"""

from __future__ import annotations

import hashlib
import re
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"
RESOLVE = re.compile(r"/((?:spaces/)?[^/]+/[^/]+)/resolve/([^/]+)/(.+)")
PIECE = 65_536  # bytes sent at once


def sha256_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def put(path: Path, content: bytes) -> Path:
    """Write a file, with the folders it needs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def files_in(folder: Path) -> list[str]:
    """The names of all files below a folder."""
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def stopping(error: BaseException, after: int = 1) -> Callable[[int, int, str], None]:
    """An `on_step` that raises once so many bytes are done."""

    def on_step(done: int, *_: object) -> None:
        if done >= after:
            raise error

    return on_step


@dataclass(frozen=True)
class Published:
    """A file of a repository; `size` is what the hub says of it."""

    content: bytes
    lfs: bool
    commit: str
    size: int

    @property
    def etag(self) -> str:
        if self.lfs:
            return sha256_of(self.content)
        return hashlib.sha1(b"blob %d\0" % len(self.content) + self.content).hexdigest()


@dataclass(frozen=True)
class Request:
    """What somebody asked for."""

    method: str
    path: str
    headers: dict[str, str]  # names in lower case


@dataclass
class Faults:
    """What goes wrong; all off at first."""

    status: int = 0  # of every answer about a file, with `code` as X-Error-Code
    code: str = ""
    cdn_status: int = 0  # of the CDN only
    explanation: bytes = b""  # JSON that comes with cdn_status
    no_commit: bool = False  # answers like a page that is no hub
    cuts: int = 0  # so many answers of the CDN end after `cut_after` bytes
    cut_after: int = 0
    ignore_range: bool = False
    instead: bytes | None = None  # what the CDN sends
    pause: float = 0.0  # seconds after every piece


@dataclass
class Hub:
    """Context manager: the server, what it publishes and what it was asked."""

    faults: Faults = field(default_factory=Faults)
    requests: list[Request] = field(default_factory=list)
    files: dict[tuple[str, str], Published] = field(default_factory=dict)
    url: str = ""
    cdn: str = ""

    def __enter__(self) -> Hub:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (_Handler,), {"hub": self}))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.cdn = f"http://localhost:{self._server.server_port}/cdn"
        Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def publish(
        self,
        repository: str,
        path: str,
        content: bytes,
        lfs: bool = True,
        commit: str = COMMIT,
        size: int | None = None,
    ) -> None:
        """Put a file into a repository, under its commit and `main`; `size` lies about its length."""
        size = len(content) if size is None else size
        self.files[repository, path] = Published(content, lfs, commit, size)

    def reset(self) -> None:
        """Forget all files, requests and faults."""
        self.files.clear()
        self.requests.clear()
        self.faults = Faults()

    def requests_by(self, method: str, end: str = "") -> list[Request]:
        """The requests by a method, those to the CDN and the cache included, for paths ending so."""
        return [each for each in self.requests if each.method == method and each.path.endswith(end)]

    def ranges(self) -> list[str]:
        """What was asked of the CDN, as Range headers have it."""
        return [each.headers["range"] for each in self.requests_by("GET") if each.path.startswith("/cdn/")]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def handle(self) -> None:
        with suppress(ConnectionError):  # the other side has gone, as after Cancel
            super().handle()

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, *_: Any) -> None:
        """Quiet."""

    def _answer(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.hub.requests.append(Request(self.command, self.path, headers))
        place = self.path.removeprefix("/cdn").removeprefix("/cache")
        match = RESOLVE.fullmatch(place)
        if match is None:
            self._say(404)
        elif place != self.path:
            self._send(self.hub.files[match[1], match[3]])
        else:
            self._resolve(*match.groups())

    def _resolve(self, repository: str, revision: str, path: str) -> None:
        faults, file = self.hub.faults, self.hub.files.get((repository, path))
        if faults.status:
            self._say(faults.status, {"X-Error-Code": faults.code} if faults.code else {})
        elif repository not in {known for known, _ in self.hub.files}:
            self._say(401, {"X-Error-Code": "RepoNotFound"})
        elif file is None:
            self._say(404, {"X-Error-Code": "EntryNotFound"})
        elif revision not in (file.commit, "main"):
            self._say(404, {"X-Error-Code": "RevisionNotFound"})
        elif file.lfs:
            linked = {"X-Linked-Etag": f'"{file.etag}"', "X-Linked-Size": str(file.size)}
            self._say(302, {"Location": self.hub.cdn + self.path, **self._commit(file), **linked})
        else:
            self._say(307, {"Location": f"/cache{self.path}", **self._commit(file)})

    def _commit(self, file: Published) -> dict[str, str]:
        return {} if self.hub.faults.no_commit else {"X-Repo-Commit": file.commit}

    def _say(self, status: int, headers: dict[str, str] | None = None, length: int = 0) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(length)}.items():
            self.send_header(name, value)
        self.end_headers()

    def _send(self, file: Published) -> None:
        faults = self.hub.faults
        content = file.content if faults.instead is None else faults.instead
        headers = {"ETag": f'"{file.etag}"', **self._commit(file)}
        if faults.cdn_status and self.command == "GET":
            explanation = faults.explanation
            self._say(faults.cdn_status, {"Content-Type": "application/json"}, len(explanation))
            self.wfile.write(explanation)
            return
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if asked and not faults.ignore_range:
            start, total = int(asked[1]), len(content)
            headers["Content-Range"] = f"bytes {start}-{total - 1}/{total}"
            content = content[start:]
            self._say(206 if content else 416, headers, len(content))
        else:
            self._say(200, headers, len(content))
        if self.command == "GET":
            self._body(content)

    def _body(self, content: bytes) -> None:
        faults = self.hub.faults
        cut = faults.cuts > 0
        faults.cuts -= cut
        for start in range(0, faults.cut_after if cut else len(content), PIECE):
            self.wfile.write(content[start : start + PIECE])
            time.sleep(faults.pause)
        if cut:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
