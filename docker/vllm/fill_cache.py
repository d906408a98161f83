"""Fills a shared directory with a model's weights: pinned, checked file by file, visible only when all of it is there.

`python fill_cache.py --help`. Exit code 0: the model lies whole below --root. 1: it does not, and another try may help. 2: the
same request would end the same way. A sentence on stderr says why.
"""

import argparse
import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from weight_cache import fill
from weight_request import Request, add_request, answer, bring
from weight_sources import Source


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_request(made)
    made.add_argument("--root", type=Path, required=True, help="where the share is mounted")
    made.add_argument("--place", required=True, help="path of the model below it, with the revision")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    args = parser().parse_args(arguments)
    request = Request.of(args)

    def work(source: Source) -> str:
        def brought(folder: Path) -> Mapping[str, str]:
            done = bring(source, folder, quantization=request.quantization, allow_code=request.allow_code)
            return done.sums

        owner = (
            f"{socket.gethostname()}, process {os.getpid()}, since {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
        )
        return fill(args.root, args.place, brought, owner=owner)

    return answer(request, work)


def end(*_: object) -> None:
    """End as by an error, so that what is half there is removed at once and not by the next run."""
    sys.exit(128 + signal.SIGTERM)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, end)
    sys.exit(main())
