"""A hub of models on loopback, as much of it as Hugging Face's own client asks for."""

import contextlib
import hashlib
import json
import threading
from collections.abc import Generator, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import urlsplit

# Larger files are not kept in git but beside it, and listed with their SHA-256.
_GIT_BYTES: Final = 1000


class Hub(ThreadingHTTPServer):
    """One model at one commit, for those who bring its token. `listed`: the SHA-256 that it says of a file, where that is not true."""

    def __init__(self, model: str, commit: str, files: Mapping[str, bytes], token: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.commit = commit
        self.files = dict(files)
        self.listed: dict[str, str] = {}
        self.authorization = f"Bearer {token}"
        self.answers: dict[str, str] = {f"/api/models/{model}/revision/{commit}": ""}
        self.answers |= {f"/{model}/resolve/{commit}/{path}": path for path in files}

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server_port}"

    def listing(self) -> dict[str, Any]:
        """Return what it says of the model."""
        return {"id": "model", "sha": self.commit, "siblings": [self._sibling(path) for path in self.files]}

    def _sibling(self, path: str) -> dict[str, Any]:
        content = self.files[path]
        sibling: dict[str, Any] = {"rfilename": path, "size": len(content), "blobId": git_hash(content)}
        if len(content) > _GIT_BYTES or path in self.listed:
            sha256 = self.listed.get(path) or hashlib.sha256(content).hexdigest()
            sibling["lfs"] = {"sha256": sha256, "size": len(content), "pointerSize": 134}
        return sibling


def git_hash(content: bytes) -> str:
    """Return the name that git gives to a file."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


@contextlib.contextmanager
def running_hub(model: str, commit: str, files: Mapping[str, bytes], token: str) -> Generator[Hub]:
    """Start a hub, and end it at the end."""
    with Hub(model, commit, files, token) as hub:
        thread = threading.Thread(target=hub.serve_forever)
        thread.start()
        try:
            yield hub
        finally:
            hub.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def _answer(self, *, with_body: bool) -> None:
        hub = self.server
        assert isinstance(hub, Hub)
        path = hub.answers.get(urlsplit(self.path).path)
        if path is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        if self.headers["Authorization"] != hub.authorization:
            self.send_error(HTTPStatus.UNAUTHORIZED)
            return
        body = hub.files[path] if path else json.dumps(hub.listing()).encode()
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Repo-Commit", hub.commit)
        self.send_header("ETag", f'"{git_hash(body)}"')
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing."""
