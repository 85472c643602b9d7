"""A model hub on loopback that can be told to damage, cut or hold what it sends."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from tests.patience import PATIENCE_SECONDS

COMMIT = "c" * 40


@dataclass
class Hub:
    """As much of the hub as a download of one file needs; use it as a context manager."""

    files: dict[str, bytes] = field(default_factory=dict)
    damage: bool = False
    cut_after: int | None = None
    """Breaks the connection after so many bytes, once."""
    hold_after: int | None = None
    """Sends nothing more after so many bytes, once, until `go_on` is set."""
    is_holding: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)
    ranges: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        handler = type("Handler", (_Handler,), {"hub": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.go_on.set()
        self._http.shutdown()
        self._http.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass

    def do_HEAD(self) -> None:
        self.answer(with_body=False)

    def do_GET(self) -> None:
        self.answer(with_body=True)

    def listing(self) -> None:
        """Answer what a repository holds: `/api/models/OWNER/NAME`, or of a dataset at a revision."""
        found = re.fullmatch(r"/api/(models|datasets)/([^/]+/[^/]+)(?:/revision/(.+))?", self.path)
        assert found
        kind, repository, revision = found.groups()
        prefix = f"{'datasets/' if kind == 'datasets' else ''}{repository}/"
        names = [name.removeprefix(prefix) for name in self.hub.files if name.startswith(prefix)]
        is_known = names and revision in (None, "main", "v1", COMMIT)
        body = {"id": repository, "sha": COMMIT, "siblings": [{"rfilename": name} for name in names]}
        content = json.dumps(body if is_known else {"error": "not found"}).encode()
        self.send_response(200 if is_known else 404)
        if not is_known:
            self.send_header("X-Error-Code", "RevisionNotFound" if names else "RepoNotFound")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def answer(self, *, with_body: bool) -> None:
        self.hub.paths.append(self.path)
        if self.path.startswith("/api/"):
            self.listing()
            return
        repository, name = re.split(r"/resolve/[^/]+/", self.path.lstrip("/"), maxsplit=1)
        data = self.hub.files.get(f"{repository}/{name}")
        if data is None:
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound" if "team" not in repository else "EntryNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        digest = hashlib.sha256(data).hexdigest()
        start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").rstrip("-"))
        if with_body:
            self.hub.ranges.append(self.headers.get("Range") or "")
        self.send_response(206 if start else 200)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{digest}"')
        self.send_header("X-Linked-Size", str(len(data)))
        self.send_header("Content-Length", str(len(data) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        if with_body:
            body = data[:-1] + b"\1" if self.hub.damage else data
            cut, self.hub.cut_after = self.hub.cut_after, None
            hold, self.hub.hold_after = self.hub.hold_after, None
            if hold is None:
                self.wfile.write(body[start:cut])
                return
            self.wfile.write(body[start:hold])
            self.hub.is_holding.set()
            self.hub.go_on.wait(PATIENCE_SECONDS)
