"""Fetches a model's weights for an image: pinned, checked file by file, sorted into folders that become layers.

`python fetch_weights.py --help`. Exit code 0: all lie below --out, each compared with the source's checksum. Exit code 1:
one sentence on stderr says why not, and the build ends.
"""

import argparse
import json
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, cast

from weight_layers import Refused, lay_out, wanted
from weight_sources import Source, checked_request, source_of, verified

QUANTIZATIONS: Final = ("none", "awq", "gptq", "fp8")
# A format that holds several; config.json says which only in its details.
_CONTAINER_FORMAT: Final = "compressed-tensors"
_DOWNLOADED: Final = ".downloaded"


def parser() -> argparse.ArgumentParser:
    """Return the command line. None of it is secret: tokens come as files."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--source", choices=("huggingface", "modelscope", "s3"), required=True)
    made.add_argument("--model", required=True, help="OWNER/NAME, or s3://BUCKET/PREFIX")
    made.add_argument("--revision", required=True, help="a commit; for s3 the hash of PREFIX/SHA256SUMS")
    made.add_argument(
        "--quantization", required=True, help="|".join(QUANTIZATIONS) + ", compared with config.json"
    )
    made.add_argument("--licence", required=True, help="SPDX expression; only its presence is checked")
    made.add_argument("--allow-code", action="store_true", help="also take *.py and pickles")
    made.add_argument("--layers", type=int, default=8)
    made.add_argument("--out", type=Path, required=True)
    made.add_argument("--token-file", type=Path, default=Path("/run/secrets/hub_token"))
    made.add_argument("--aws-credentials-file", type=Path, default=Path("/run/secrets/aws_credentials"))
    return made


def checked_labels(quantization: str, licence: str) -> None:
    """Check what only becomes a label of the image.

    :raises Refused: one is missing or unknown.
    """
    if quantization not in QUANTIZATIONS:
        raise Refused(f"The quantization {quantization!r} is none of {', '.join(QUANTIZATIONS)}.")
    if not licence.strip():
        raise Refused("The licence of the weights is missing: give its SPDX expression, e.g. Apache-2.0.")


def checked_quantization(config: str, said: str) -> None:
    """Compare what the build says with the model's config.json, since labels and stacks repeat it.

    :raises Refused: they differ.
    """
    loaded: object = json.loads(config)
    found = "none"
    if isinstance(loaded, dict):
        section: object = cast("dict[str, Any]", loaded).get("quantization_config")
        if isinstance(section, dict):
            found = str(cast("dict[str, Any]", section).get("quant_method", "unnamed"))
    if found == said or (found == _CONTAINER_FORMAT and said != "none"):
        return
    raise Refused(f"The build says quantization {said!r}, but config.json says {found!r}.")


def fetch(source: Source, out: Path, *, quantization: str, allow_code: bool, count: int) -> str:
    """Fetch, check and lay out. Returns what was done, for the build's log.

    :raises Refused: what was found is not what was asked for.
    """
    said = source.files()
    taken = wanted(said, allow_code=allow_code)
    downloaded = out / _DOWNLOADED
    downloaded.mkdir(parents=True)
    # The small file first: a wrong request must not cost gigabytes.
    sums: dict[str, str] = {}
    for path in ("config.json", *(path for path in taken if path != "config.json")):
        source.download(path, downloaded)
        sums[path] = verified(downloaded / path, path, said[path])
        if path == "config.json":
            checked_quantization((downloaded / path).read_text(), quantization)
    filled = lay_out(downloaded, out, sums, count)
    # Clients leave notes of their own beside the files.
    shutil.rmtree(downloaded)
    gigabytes = ", ".join(f"{size / 1e9:.2f}" for size in filled)
    left = len(said) - len(taken)
    return f"{len(taken)} files checked, {left} left out; layers of {gigabytes} GB"


def sentence(error: Exception, token: str | None) -> str:
    """Return the error in one line, without the token and without the query of an address, which may be a signature."""
    text = str(error) if isinstance(error, Refused) else f"{type(error).__name__}: {error}"
    if token:
        text = text.replace(token, "***")
    return re.sub(r"\?\S+", "?***", " ".join(text.split()))


def read_token(file: Path) -> str | None:
    """Return the token, or nothing where the build was given none: public models need none."""
    return (file.read_text().strip() or None) if file.exists() else None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    args = parser().parse_args(arguments)
    token: str | None = None
    try:
        checked_request(args.source, args.model, args.revision)
        checked_labels(args.quantization, args.licence)
        token = read_token(args.token_file)
        source = source_of(args.source, args.model, args.revision, token, args.aws_credentials_file)
        done = fetch(
            source, args.out, quantization=args.quantization, allow_code=args.allow_code, count=args.layers
        )
    except Exception as error:  # noqa: BLE001 - whatever a client raises, the build's log gets one line and no token
        print(sentence(error, token), file=sys.stderr)  # noqa: T201 - the program's output
        return 1
    print(f"{args.model} at {args.revision}: {done}")  # noqa: T201 - as above
    return 0


if __name__ == "__main__":
    sys.exit(main())
