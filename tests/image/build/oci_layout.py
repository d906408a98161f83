"""Images as folders of blobs, by the OCI image layout: written for the bases of a build, read for what it made."""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

_INDEX: Final = "application/vnd.oci.image.index.v1+json"
_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
_CONFIG: Final = "application/vnd.oci.image.config.v1+json"
_LAYER: Final = "application/vnd.oci.image.layer.v1.tar"
_ATTESTED: Final = "vnd.docker.reference.type"
_GZIP: Final = b"\x1f\x8b"


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One layer of a built image: its files by path, without those of other layers."""

    digest: str
    blob: Path

    @property
    def size(self) -> int:
        """Bytes that a node pulls."""
        return self.blob.stat().st_size

    @cached_property
    def members(self) -> dict[str, tarfile.TarInfo]:
        """What it holds, folders too, by path from the root."""
        with tarfile.open(self.blob) as tar:
            return {f"/{member.name.strip('./')}": member for member in tar}

    def files(self) -> dict[str, tarfile.TarInfo]:
        """What it holds besides folders."""
        return {path: member for path, member in self.members.items() if not member.isdir()}

    def read(self, path: str) -> bytes:
        """Return the content of a file."""
        with tarfile.open(self.blob) as tar:
            stream = tar.extractfile(self.members[path])
            assert stream is not None, f"{path} is no file"
            return stream.read()


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image in a layout that holds no other."""

    layout: Path

    @cached_property
    def manifests(self) -> list[dict[str, Any]]:
        """Descriptors of the image and of what was attested of it."""
        found: list[dict[str, Any]] = json.loads((self.layout / "index.json").read_text())["manifests"]
        if found[0]["mediaType"] == _INDEX:
            return self.json_blob(found[0]["digest"])["manifests"]
        return found

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """The image's own manifest."""
        (image,) = [found for found in self.manifests if _ATTESTED not in found.get("annotations", {})]
        return self.json_blob(image["digest"])

    @cached_property
    def document(self) -> dict[str, Any]:
        """The image's configuration with its history."""
        return self.json_blob(self.manifest["config"]["digest"])

    @property
    def config(self) -> dict[str, Any]:
        """What a container is started with."""
        return self.document["config"]

    @cached_property
    def layers(self) -> list[Layer]:
        """From the base to the last."""
        return [
            Layer(digest=found["digest"], blob=self._blob(found["digest"]))
            for found in self.manifest["layers"]
        ]

    @property
    def digests(self) -> list[str]:
        """Of the layers, as a registry and the nodes know them."""
        return [layer.digest for layer in self.layers]

    def attested(self) -> list[dict[str, Any]]:
        """Statements about the image, in-toto."""
        kept = [found for found in self.manifests if _ATTESTED in found.get("annotations", {})]
        layers = [layer for found in kept for layer in self.json_blob(found["digest"])["layers"]]
        return [self.json_blob(layer["digest"]) for layer in layers]

    def bytes_of_all(self) -> Iterator[bytes]:
        """Return all that would be pushed, uncompressed."""
        yield (self.layout / "index.json").read_bytes()
        for path in sorted((self.layout / "blobs" / "sha256").iterdir()):
            content = path.read_bytes()
            yield gzip.decompress(content) if content.startswith(_GZIP) else content

    def unpack(self, root: Path) -> None:
        """Lay the layers over each other, as a container runtime does; none of ours takes a file away."""
        for layer in self.layers:
            with tarfile.open(layer.blob) as tar:
                assert not [name for name in tar.getnames() if "/.wh." in name]
                tar.extractall(root, filter="fully_trusted")  # noqa: S202 - made here; /tmp keeps its mode

    def json_blob(self, digest: str) -> dict[str, Any]:
        """Return a document of the layout."""
        return json.loads(self._blob(digest).read_text())

    def _blob(self, digest: str) -> Path:
        return self.layout / "blobs" / Path(digest.replace(":", "/"))


def write_layer(layout: Path, root: Path) -> dict[str, Any]:
    """Write a layer with all that is below `root`. Returns its descriptor."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as tar:
        tar.add(root, arcname=".")
    return _put(layout, _LAYER, written.getvalue())


def write_image(layout: Path, layers: Sequence[Mapping[str, Any]], variables: Mapping[str, str]) -> str:
    """Write an image of layers that are there. Returns the digest of its manifest, by which a builder finds it."""
    document = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Env": [f"{name}={value}" for name, value in variables.items()]},
        # Nothing is compressed, so that a layer has one name.
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"] for layer in layers]},
    }
    config = _put(layout, _CONFIG, _json(document))
    manifest = {"schemaVersion": 2, "mediaType": _MANIFEST, "config": config, "layers": layers}
    return _put(layout, _MANIFEST, _json(manifest))["digest"]


def _put(layout: Path, media_type: str, content: bytes) -> dict[str, Any]:
    digest = hashlib.sha256(content).hexdigest()
    (layout / "blobs" / "sha256").mkdir(parents=True, exist_ok=True)
    (layout / "blobs" / "sha256" / digest).write_bytes(content)
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}


def _json(value: object) -> bytes:
    return json.dumps(value, indent=1).encode()
