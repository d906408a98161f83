"""Images between registries, by their digests, with `crane` and whatever login Docker has on this machine."""

import hashlib
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rehearsal.errors import UserError
from settings.registry import Image

COPY_SECONDS: Final = 6 * 3600
"""An image with weights has tens of gigabytes."""
ASK_SECONDS: Final = 120
_MISSING: Final = ("MANIFEST_UNKNOWN", "NAME_UNKNOWN", "404 Not Found", "NotFound")
"""What crane says of a tag that is not there."""


@dataclass(frozen=True, kw_only=True)
class Registries:
    """crane: the program. source, target: hosts, with the path of a project where there is one."""

    crane: Path
    source: str
    target: str

    def bring(self, image: Image) -> str:
        """See that an image of the source's is in the target's registry, byte for byte. Returns what was done, in words.

        Raises UserError where a registry holds something else under the digest, or the tag is another image's there.
        """
        self._verify(self.source, image)
        tagged = f"{self.target}/{image.repository}:{image.tag}"
        if self.source == self.target:
            return f"{_named(self.target, image)}: there already"
        found = self._digest(tagged)
        if found is not None and found != image.digest:
            raise UserError(
                f"{tagged} is {found} already, and shall become {image.digest}: a tag never moves.\n"
                "fix: give the new image a tag of its own where it is built"
            )
        if found is None:
            self._run(["copy", _named(self.source, image), tagged], COPY_SECONDS, f"{tagged} was not written")
        self._verify(self.target, image)
        return f"{_named(self.target, image)}: {'copied' if found is None else 'there already'}"

    def digest_of(self, image: Image) -> str | None:
        """Return which image the tag is in the source; None where it has none. Raises UserError where it does not say."""
        return self._digest(f"{self.source}/{image.repository}:{image.tag}")

    def _verify(self, host: str, image: Image) -> None:
        """Hold what a registry answers against the digest: it is the answer's own checksum. Raises UserError."""
        name = _named(host, image)
        content = self._run(["manifest", name], ASK_SECONDS, f"{name} is not to be had")
        found = f"sha256:{hashlib.sha256(content).hexdigest()}"
        if found != image.digest:
            raise UserError(
                f"{host} answers {name} with another image, {found}: it was tampered with, or the registry is broken.\n"
                "fix: push the image that was tested again, and look at who may write there"
            )

    def _digest(self, tagged: str) -> str | None:
        done = self._crane(["digest", tagged], ASK_SECONDS)
        if done.returncode == 0:
            return done.stdout.decode().strip()
        if any(word in _said(done) for word in _MISSING):
            return None
        raise UserError(f"the registry does not say what {tagged} is: {_said(done)}")

    def _run(self, arguments: list[str], seconds: int, otherwise: str) -> bytes:
        done = self._crane(arguments, seconds)
        if done.returncode != 0:
            raise UserError(f"{otherwise}: {_said(done)}")
        return done.stdout

    def _crane(self, arguments: list[str], seconds: int) -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run(
                [str(self.crane), *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                timeout=seconds,
            )
        except subprocess.TimeoutExpired:
            raise UserError(f"`crane {' '.join(arguments)}` did not end within {seconds} s") from None


def _named(host: str, image: Image) -> str:
    return f"{host}/{image.repository}@{image.digest}"


def _said(done: subprocess.CompletedProcess[bytes]) -> str:
    lines = (done.stderr + done.stdout).decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else f"status {done.returncode}"
