"""Which files of a model are taken, and how they are laid out as layers of an image. Pure, but for `lay_out` and `settle`."""

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Final

MANIFEST: Final = "SHA256SUMS"
SUFFIXES: Final = frozenset({".safetensors", ".json", ".txt", ".model", ".jinja", ".tiktoken"})
# Pickles run code when they are loaded, just as modules do.
CODE_SUFFIXES: Final = frozenset({".py", ".bin", ".pt", ".pth"})
# Licences ask to go where the weights go.
TEXTS: Final = frozenset({"LICENSE", "LICENSE.md", "LICENCE", "NOTICE", "USE_POLICY.md"})
# The same weights once more, for other engines.
OTHER_FORMATS: Final = frozenset({"original", "metal", "onnx", "openvino", "gguf"})
# Below this a file costs more requests than bytes: such files share the last layer.
SMALL_BYTES: Final = 64 * 2**20
# A larger layer is pulled by one connection for minutes while the others are done, and is fetched anew when that breaks.
LARGEST_LAYER_BYTES: Final = 12 * 2**30
# Of every file and folder: the time of the build must not change a layer.
MODIFIED: Final = 0

_SUM: Final = re.compile(r"(?P<sum>[0-9a-f]{64}) [ *](?P<path>.+)")


class Refused(Exception):  # noqa: N818 - it says what happened, and is caught under this name
    """What is wrong with the request or the files, in one sentence for the user."""


class Damaged(Refused):
    """A file came otherwise than the source lists it: the next try may bring it whole."""


def checked_path(path: str) -> str:
    """Return `path`.

    :raises Refused: it could leave the folder of the weights, or break a line of the manifest.
    """
    parts = PurePosixPath(path).parts
    if not path or path.startswith("/") or ".." in parts or not path.isprintable() or "\\" in path:
        raise Refused(f"The source lists the path {path!r}, which is not one below its folder.")
    return str(PurePosixPath(path))


def wanted(paths: Iterable[str], *, allow_code: bool) -> list[str]:
    """Return the paths that an engine reads, sorted: by an allow-list, and without a second copy of the weights.

    :raises Refused: a path is not a safe one, or the rest is not a model.
    """
    every = sorted({checked_path(path) for path in paths})
    suffixes = SUFFIXES | CODE_SUFFIXES if allow_code else SUFFIXES
    taken = [path for path in every if _is_read(PurePosixPath(path), suffixes)]
    if {"model.safetensors", "model.safetensors.index.json"} & set(taken):
        # Mistral and Llama put their own format beside that of Hugging Face, which is the one vLLM loads by default.
        taken = [path for path in taken if not path.startswith("consolidated")]
    if "config.json" not in taken:
        raise Refused("The source has no config.json, so it is not a model's folder.")
    if not any(path.endswith((".safetensors", ".bin", ".pt", ".pth")) for path in taken):
        raise Refused("The source has no weights as *.safetensors.")
    return taken


def _is_read(path: PurePosixPath, suffixes: frozenset[str]) -> bool:
    if path.name == MANIFEST or OTHER_FORMATS & set(path.parts[:-1]):
        return False
    return path.name in TEXTS or path.suffix in suffixes


def layers(sizes: Mapping[str, int], count: int) -> list[list[str]]:
    """Return the paths of each layer: large files balanced over all but the last, which takes the small ones.

    Largest first into the emptiest: no layer passes the mean by more than one file. The same files give the same layers.

    :raises Refused: a layer would be too large for an image.
    """
    rows: list[list[str]] = [[] for _ in range(count)]
    filled = [0] * (count - 1)
    for path in sorted(sizes, key=lambda path: (-sizes[path], path)):
        if sizes[path] < SMALL_BYTES:
            rows[-1].append(path)
            continue
        emptiest = min(range(count - 1), key=lambda index: (filled[index], index))
        rows[emptiest].append(path)
        filled[emptiest] += sizes[path]
    if max(filled) > LARGEST_LAYER_BYTES:
        raise Refused(
            f"A layer would have {max(filled) / 1e9:.1f} GB, more than {LARGEST_LAYER_BYTES / 1e9:.1f}: "
            "do not bake this model, stream it from S3 or keep it on a shared claim."
        )
    return [sorted(row) for row in rows]


def manifest(sums: Mapping[str, str]) -> str:
    """Return the text of SHA256SUMS, as `sha256sum --check` reads it."""
    return "".join(f"{sums[path]}  {path}\n" for path in sorted(sums))


def parsed_manifest(text: str) -> dict[str, str]:
    """Return the SHA-256 of each path.

    :raises Refused: a line is not one of sha256sum's, or the text lists nothing or one path twice.
    """
    sums: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        found = _SUM.fullmatch(line)
        if found is None or (path := checked_path(found["path"])) in sums:
            raise Refused(f"Line {number} of {MANIFEST} is not `HASH  PATH` of a path of its own.")
        sums[path] = found["sum"]
    if not sums:
        raise Refused(f"{MANIFEST} lists no file.")
    return sums


def lay_out(downloaded: Path, out: Path, sums: Mapping[str, str], *, count: int, folder: str) -> list[int]:
    """Move the files of `sums` into out/layer-00/`folder` and on, with the manifest in the last. Returns the bytes of each layer.

    The folder is part of the layer: one that the builder makes has the time of the build, and with it the layer.
    """
    sizes = {path: (downloaded / path).stat().st_size for path in sums}
    rows = layers(sizes, count)
    for index, row in enumerate(rows):
        layer = out / f"layer-{index:02d}" / folder
        layer.mkdir(parents=True)
        for path in row:
            target = layer / path
            target.parent.mkdir(parents=True, exist_ok=True)
            # Inside of one file system: no byte is copied.
            (downloaded / path).rename(target)
    (out / f"layer-{count - 1:02d}" / folder / MANIFEST).write_text(manifest(sums))
    for index in range(count):
        settle(out / f"layer-{index:02d}")
    return [sum(sizes[path] for path in row) for row in rows]


def settle(folder: Path) -> None:
    """Give all that is in the folder one time, and rights that do not depend on who built it."""
    for path in sorted(folder.rglob("*"), reverse=True):
        path.chmod(0o755 if path.is_dir() else 0o644)
        os.utime(path, (MODIFIED, MODIFIED))
    folder.chmod(0o755)
    os.utime(folder, (MODIFIED, MODIFIED))
