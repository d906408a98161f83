"""The commands that README and docs show, read out of their code blocks."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from docs.generator.documents import documents

ROOT: Final = Path(__file__).resolve().parents[2]
# `sh`: every line is a command. `console`: commands begin with "$ ", the lines below them are what they print.
RUN: Final = frozenset({"sh", "console"})
# The width at which outputs were quoted.
COLUMNS: Final = 180
# A first `make up` with warm tools takes half a minute; `pulumi` twice in a block, a little.
BLOCK_SECONDS: Final = 600
# Left out of a quoted output: a line of its own that holds nothing else.
ELISION: Final = "…"
# Commands that need neither tools nor a cluster, and take a second or two.
LIGHT: Final = (
    "vp catalogue ",
    "vp check ",
    "vp cost ",
    "vp dashboards ",
    "vp fit ",
    "vp graph ",
    "vp image ",
    "vp policy ",
    "vp render ",
    "vp token keys",
    "python -m docs.generator",
)
# Shown, and not run by the tests.
NOT_RUN: Final = {
    "make test": "it runs these very tests",
    "make lock": "it asks the package index for the newest versions, so its outcome is another one tomorrow",
    "make test-gateway": "it is among the tests that `make test` runs",
    "make bench": "it takes a quarter of an hour, and a test never asserts on time",
}
# Code blocks that are no commands of ours.
OTHER_LANGUAGES: Final = {
    "mermaid": "a picture",
    "bash": (
        "it needs what no clone has, and is run by a test of its own: AWS by tests/aws/test_state_recipe.py, "
        "a Prometheus and a model with a canary by tests/rehearsal/test_rollout_command.py, the price list by "
        "tests/aws/test_price_refresh.py, a promotion by tests/rehearsal/test_promotion.py, another commit by tests/unit/test_other_side.py "
        "and tests/graph/test_review.py"
    ),
    "json": "a policy of IAM, checked by the tests of its document",
    "text": "what a command prints on AWS: tests/unit/test_preflight_document.py compares it",
    "yaml": "a part of a stack file, checked by the tests of its document",
}
_BLOCK: Final = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
_PROMPT: Final = "$ "


@dataclass(frozen=True, kw_only=True)
class Block:
    """One code block of a document. `line` is where it begins, counted from 1."""

    document: str
    line: int
    language: str
    text: str

    @property
    def commands(self) -> list[str]:
        """What a reader would type, line by line; a line that ends in a backslash goes on."""
        lines = self.text.replace("\\\n", " ").splitlines()
        if self.language == "console":
            return [line.removeprefix(_PROMPT) for line in lines if line.startswith(_PROMPT)]
        return [line for line in lines if line.strip() and not line.startswith("#")]

    @property
    def printed(self) -> list[str]:
        """The lines of output that it quotes."""
        lines = self.text.splitlines() if self.language == "console" else []
        return [line for line in lines if line.strip() not in {"", ELISION} and not line.startswith(_PROMPT)]

    @property
    def light(self) -> bool:
        """Whether it can run without tools and without a cluster."""
        return all(command.startswith(LIGHT) for command in self.commands)

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"


def all_blocks() -> list[Block]:
    """Every code block of every document, in the order of reading."""
    return [
        Block(
            document=str(path.relative_to(ROOT)),
            line=text.count("\n", 0, match.start()) + 1,
            language=match["language"],
            text=match["text"],
        )
        for path in documents(ROOT)
        for text in [path.read_text(encoding="utf-8")]
        for match in _BLOCK.finditer(text)
    ]


def blocks_to_run(*, light: bool) -> list[Block]:
    """The blocks that hold commands: those that need no cluster, or the others."""
    return [block for block in all_blocks() if block.language in RUN and block.light is light]


def without_numbers(line: str) -> str:
    """A line of output without what differs from run to run: numbers, zones, how many nodes, spacing, tables' lines."""
    line = re.sub(r"\d+", "0", re.sub(r"\b([a-z]+-[a-z]+-)\d[a-z]\b", r"\g<1>0", line))
    line = re.sub(r"\b([\w-]+)(?:, \1)+\b", r"\1", line)
    return " ".join(re.sub(r"[^\w:/.,()-]+", " ", line).split())


def run(block: Block, folder: Path, cache: Path) -> str:
    """Run a block as one script, as somebody would who copies it, and return what it printed.

    :param cache: a cache folder for a command that empties it: what it removes must not be the developer's.
    """
    environment = dict(os.environ) | {
        "PATH": os.pathsep.join([str(Path(sys.prefix) / "bin"), os.environ["PATH"]]),
        "COLUMNS": str(COLUMNS),
    }
    if any(command.startswith("vp tools clean") for command in block.commands):
        environment["VP_CACHE"] = str(cache)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(block.commands)],  # noqa: S607 - bash of PATH, as in a terminal
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=BLOCK_SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{block} ended with status {done.returncode}:\n{done.stdout}"
    return done.stdout


def check_output(block: Block, printed: str) -> None:
    """Every line that a block quotes is printed. What a cluster has to do with may print other numbers."""
    form = str.rstrip if block.light else without_numbers
    there = {form(line) for line in printed.splitlines()}
    missing = [line for line in block.printed if form(line) not in there]
    assert not missing, f"{block} quotes what is not printed: {missing}\nprinted was:\n{printed}"
