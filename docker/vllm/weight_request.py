"""What both programs that fetch weights have in common: the request, the token, the files brought and checked one by one."""

import argparse
import json
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from weight_layers import Damaged, Refused, wanted
from weight_sources import Source, checked_endpoint, checked_request, source_of, verified

QUANTIZATIONS: Final = ("none", "awq", "gptq", "fp8")
# A format that holds several; config.json says which only in its details.
_CONTAINER_FORMAT: Final = "compressed-tensors"

FAILED: Final = 1
"""Exit code: it may be done by the next try."""
REFUSED: Final = 2
"""Exit code: the same request would end the same way."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """Which weights, from where. None of it is secret: tokens come as files. endpoint: empty is the source's own address."""

    source: str
    endpoint: str
    model: str
    revision: str
    quantization: str
    licence: str
    allow_code: bool
    token_file: Path
    credentials_file: Path

    @classmethod
    def of(cls, args: argparse.Namespace) -> "Request":
        """Take it out of what `add_request` made of a command line."""
        return cls(
            source=args.source,
            endpoint=args.endpoint,
            model=args.model,
            revision=args.revision,
            quantization=args.quantization,
            licence=args.licence,
            allow_code=args.allow_code,
            token_file=args.token_file,
            credentials_file=args.aws_credentials_file,
        )

    def open(self, token: str | None) -> Source:
        """Return the source, once the request is found to be one.

        :raises Refused: it is not.
        """
        checked_request(self.source, self.model, self.revision)
        checked_endpoint(self.source, self.endpoint)
        checked_labels(self.quantization, self.licence)
        return source_of(
            self.source,
            self.model,
            self.revision,
            endpoint=self.endpoint,
            token=token,
            credentials=self.credentials_file,
        )


@dataclass(frozen=True, kw_only=True)
class Brought:
    """sums: the SHA-256 of each file, by its path. left_out: how many files the source has besides."""

    sums: dict[str, str]
    left_out: int

    def __str__(self) -> str:
        """What was done, for the log."""
        return f"{len(self.sums)} files checked, {self.left_out} left out"


def add_request(made: argparse.ArgumentParser) -> None:
    """Add the options of a request."""
    made.add_argument("--source", choices=("huggingface", "modelscope", "s3"), required=True)
    made.add_argument(
        "--endpoint", default="", help="address of a mirror, or of a store that is not Amazon's"
    )
    made.add_argument("--model", required=True, help="OWNER/NAME, or s3://BUCKET/PREFIX")
    made.add_argument("--revision", required=True, help="a commit; for s3 the hash of PREFIX/SHA256SUMS")
    made.add_argument(
        "--quantization", required=True, help="|".join(QUANTIZATIONS) + ", compared with config.json"
    )
    made.add_argument("--licence", required=True, help="SPDX expression; only its presence is checked")
    made.add_argument("--allow-code", action="store_true", help="also take *.py and pickles")
    made.add_argument("--token-file", type=Path, default=Path("/run/secrets/hub_token"))
    made.add_argument("--aws-credentials-file", type=Path, default=Path("/run/secrets/aws_credentials"))


def checked_labels(quantization: str, licence: str) -> None:
    """Check what is only written beside the weights.

    :raises Refused: one is missing or unknown.
    """
    if quantization not in QUANTIZATIONS:
        raise Refused(f"The quantization {quantization!r} is none of {', '.join(QUANTIZATIONS)}.")
    if not licence.strip():
        raise Refused("The licence of the weights is missing: give its SPDX expression, e.g. Apache-2.0.")


def checked_quantization(config: str, said: str) -> None:
    """Compare what the request says with the model's config.json, since labels and stacks repeat it.

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
    raise Refused(f"The request says quantization {said!r}, but config.json says {found!r}.")


def bring(source: Source, folder: Path, *, quantization: str, allow_code: bool) -> Brought:
    """Bring the files that an engine reads into a new folder, each compared with the source's checksum.

    Clients leave notes of their own beside the files, so the folder holds more than `sums` says.

    :raises Refused: what was found is not what was asked for.
    """
    said = source.files()
    taken = wanted(said, allow_code=allow_code)
    folder.mkdir(parents=True)
    sums: dict[str, str] = {}
    # The small file first: a wrong request must not cost gigabytes.
    for path in ("config.json", *(path for path in taken if path != "config.json")):
        source.download(path, folder)
        sums[path] = verified(folder / path, path, said[path])
        if path == "config.json":
            checked_quantization((folder / path).read_text(), quantization)
        say(f"{len(sums)} of {len(taken)}: {path}, {(folder / path).stat().st_size / 1e9:.2f} GB")
    return Brought(sums=sums, left_out=len(said) - len(taken))


def answer(request: Request, work: Callable[[Source], str]) -> int:
    """Do the work and say what became of it, in one line without the token. Returns the exit code."""
    token: str | None = None
    try:
        token = read_token(request.token_file)
        done = work(request.open(token))
    except Exception as error:  # noqa: BLE001 - whatever a client raises, the log gets one line and no token
        print(sentence(error, token), file=sys.stderr)  # noqa: T201 - the program's output
        return REFUSED if isinstance(error, Refused) and not isinstance(error, Damaged) else FAILED
    say(f"{request.model} at {request.revision}: {done}")
    return 0


def say(line: str) -> None:
    """Print a line at once: it is watched while the work goes on."""
    print(line, flush=True)  # noqa: T201 - the program's output


def sentence(error: Exception, token: str | None) -> str:
    """Return the error in one line, without the token and without the query of an address, which may be a signature."""
    text = str(error) if isinstance(error, Refused) else f"{type(error).__name__}: {error}"
    if token:
        text = text.replace(token, "***")
    return re.sub(r"\?\S+", "?***", " ".join(text.split()))


def read_token(file: Path) -> str | None:
    """Return the token, or nothing where there is none: public models need none."""
    return (file.read_text().strip() or None) if file.exists() else None
