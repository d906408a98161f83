"""How a small engine behaves, told through a file: a test writes it, the engine reads it again at each request."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

FILE: Final = Path("behaviour.json")
"""In the folder of the pod."""


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """A good engine, unless said otherwise.

    first_token_seconds: until the first token, once the request runs. between_tokens_seconds: until each other one.
    error_ratio: of requests, 0 to 1, that are answered with 500 before the first token.
    cut_ratio: of streams, 0 to 1, whose connection closes half-way.
    healthy: what /health says; requests are answered all the same.
    crashed: the process ends with status 1, as often as it is started.
    """

    first_token_seconds: float = 0.02
    between_tokens_seconds: float = 0.005
    error_ratio: float = 0.0
    cut_ratio: float = 0.0
    healthy: bool = True
    crashed: bool = False

    def write(self, folder: Path) -> None:
        """Tell it to the engine of this folder, whole at any moment."""
        temporary = folder / FILE.with_suffix(".tmp")
        temporary.write_text(json.dumps(asdict(self)))
        temporary.replace(folder / FILE)


def read(folder: Path) -> Behaviour:
    """Return what the file says; a good engine where there is none."""
    try:
        text = (folder / FILE).read_text()
    except FileNotFoundError:
        return Behaviour()
    return Behaviour(**json.loads(text))
