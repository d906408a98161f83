"""Fetches a model's weights for an image: pinned, checked file by file, sorted into folders that become layers.

`python fetch_weights.py --help`. Exit code 0: all lie below --out, each compared with the source's checksum. Any other:
one sentence on stderr says why not, and the build ends.
"""

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from weight_layers import lay_out
from weight_request import Request, add_request, answer, bring
from weight_sources import Source

_DOWNLOADED: Final = ".downloaded"


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_request(made)
    made.add_argument("--layers", type=int, default=8)
    made.add_argument(
        "--folder", default=".", help="where the weights lie in the image, without the first slash"
    )
    made.add_argument("--out", type=Path, required=True)
    return made


def fetch(
    source: Source, out: Path, *, quantization: str, allow_code: bool, count: int, folder: str = "."
) -> str:
    """Fetch, check and lay out. Returns what was done, for the build's log.

    :raises Refused: what was found is not what was asked for.
    """
    downloaded = out / _DOWNLOADED
    brought = bring(source, downloaded, quantization=quantization, allow_code=allow_code)
    filled = lay_out(downloaded, out, brought.sums, count=count, folder=folder)
    shutil.rmtree(downloaded)
    gigabytes = ", ".join(f"{size / 1e9:.2f}" for size in filled)
    return f"{brought}; layers of {gigabytes} GB"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    args = parser().parse_args(arguments)
    request = Request.of(args)

    def work(source: Source) -> str:
        return fetch(
            source,
            args.out,
            quantization=request.quantization,
            allow_code=request.allow_code,
            count=args.layers,
            folder=args.folder,
        )

    return answer(request, work)


if __name__ == "__main__":
    sys.exit(main())
