"""Registries on loopback, each a process of `crane registry serve`, and images in them."""

import contextlib
import io
import json
import os
import re
import subprocess
import tarfile
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rehearsal.cluster.api import wait_until
from rehearsal.toolchain import find_tools

READY_SECONDS = 30
PORT = re.compile(r"serving on port (\d+)")


def crane() -> Path:
    return find_tools(["crane"]).bin("crane")


@dataclass(frozen=True, kw_only=True)
class Registry:
    """host: with its port. blobs: the folder of what is in it."""

    host: str
    blobs: Path

    def push(self, repository: str, tag: str, content: bytes, scratch: Path) -> str:
        """Push an image of one layer, which holds `content` as a file. Returns its digest."""
        layer = scratch / f"{tag}.tar"
        with tarfile.open(layer, "w") as archive:
            info = tarfile.TarInfo("model")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        name = f"{self.host}/{repository}:{tag}"
        run("append", "--new_layer", str(layer), "--new_tag", name)
        return run("digest", name).strip()

    def manifest(self, repository: str, reference: str) -> dict[str, Any]:
        """Return a manifest, by a tag or a digest."""
        mark = "@" if reference.startswith("sha256:") else ":"
        return json.loads(run("manifest", f"{self.host}/{repository}{mark}{reference}"))


def run(*arguments: str) -> str:
    return subprocess.run([crane(), *arguments], check=True, capture_output=True, text=True).stdout


@contextlib.contextmanager
def registry(folder: Path) -> Generator[Registry]:
    """Run one, in memory and in a folder; it is ended with the test."""
    folder.mkdir(parents=True)
    log = folder.with_suffix(".log")
    with log.open("w") as written:
        process = subprocess.Popen(
            [crane(), "registry", "serve", "--address", "127.0.0.1:0", "--disk", str(folder)],
            stderr=written,
            env={name: value for name, value in os.environ.items() if name != "PORT"},
        )
    try:
        assert wait_until(lambda: PORT.search(log.read_text()) is not None, seconds=READY_SECONDS)
        found = PORT.search(log.read_text())
        assert found is not None
        yield Registry(host=f"127.0.0.1:{found[1]}", blobs=folder)
    finally:
        process.terminate()
        process.wait(READY_SECONDS)
