"""A process that fills a shared directory, for tests that start several and kill some: the real filling, of a folder's files.

`python cache_filler.py ROOT PLACE FOLDER SECONDS`: SECONDS pass before each file.
"""

import hashlib
import shutil
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fill_cache import end
from weight_cache import fill
from weight_request import bring, say, sentence
from weight_sources import Checksum


@dataclass(frozen=True, kw_only=True)
class FolderSource:
    """The files of a folder at what was their content when this was made. `seconds` pass before each."""

    folder: Path
    said: Mapping[str, Checksum]
    seconds: float = 0

    @classmethod
    def of(cls, folder: Path, seconds: float = 0) -> "FolderSource":
        """Take what lies in a folder."""
        said = {
            str(path.relative_to(folder)): Checksum(sha256=hashlib.sha256(path.read_bytes()).hexdigest())
            for path in folder.rglob("*")
            if path.is_file()
        }
        return cls(folder=folder, said=said, seconds=seconds)

    def files(self) -> dict[str, Checksum]:
        """Return every path with its checksum."""
        return dict(self.said)

    def download(self, path: str, folder: Path) -> None:
        """Copy the file to folder/path."""
        time.sleep(self.seconds)
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self.folder / path, folder / path)

    def bring(self, folder: Path) -> Mapping[str, str]:
        """Bring all of them, checked."""
        return bring(self, folder, quantization="none", allow_code=False).sums


def main(root: str, place: str, folder: str, seconds: str) -> int:
    """Fill it."""
    source = FolderSource.of(Path(folder), float(seconds))
    try:
        say(fill(Path(root), place, source.bring, owner="a filler"))
    except OSError as error:
        say(sentence(error, None))
        return 1
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, end)
    sys.exit(main(*sys.argv[1:]))
