"""Marked blocks in Markdown files: what stands between two comments is generated, the rest is written by hand."""

import re
from collections.abc import Mapping
from typing import Final

BEGIN: Final = "<!-- generated: {name}, by `python -m docs.generator` -->"
END: Final = "<!-- end of {name} -->"
_BLOCK: Final = re.compile(
    r"<!-- generated: (?P<name>[a-z-]+), by `python -m docs\.generator` -->\n"
    r"(?P<body>.*?)"
    r"<!-- end of (?P=name) -->",
    re.DOTALL,
)


def names_in(text: str) -> list[str]:
    """Return the names of the blocks of a text, in their order."""
    return [match["name"] for match in _BLOCK.finditer(text)]


def filled(text: str, blocks: Mapping[str, str]) -> str:
    """Return a text with its blocks as they should be. Raises KeyError for a name that nobody generates."""

    def block(match: re.Match[str]) -> str:
        name = match["name"]
        return f"{BEGIN.format(name=name)}\n\n{blocks[name].strip()}\n\n{END.format(name=name)}"

    return _BLOCK.sub(block, text)
