"""`vp review` of a change of one stack: both sides rendered, checked, judged and priced."""

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Final

from benchmarks.checkout import run_to_its_end
from benchmarks.part import Bench
from benchmarks.report import Measurement
from ops.other_side import git
from rehearsal.errors import UserError

STACK: Final = "prod"
_IDENTITY: Final = ("-c", "user.name=benchmark", "-c", "user.email=benchmark@localhost")


def review(bench: Bench) -> list[Measurement]:
    """Review a commit that gives a model of prod one replica more, in a clone of its own."""
    folder = Path(tempfile.mkdtemp(prefix="vllm-platform-bench-")).resolve()
    try:
        clone = folder / "clone"
        git(bench.repository, "clone", "--quiet", str(bench.repository), str(clone))
        file = clone / f"Pulumi.{STACK}.yaml"
        text = file.read_text(encoding="utf-8")
        file.write_text(text.replace("kind: hpa, min: 2", "kind: hpa, min: 3"), encoding="utf-8")
        git(clone, *_IDENTITY, "commit", "--quiet", "--all", "--message", "one replica more")
        _timed(clone, "review", "HEAD~1", "HEAD")  # the first one compiles Python files
        whole = tuple(_timed(clone, "review", "HEAD~1", "HEAD") for _ in range(bench.runs))
        one = tuple(_timed(clone, "render", STACK, "--out", str(folder / "out")) for _ in range(bench.runs))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return [
        Measurement(name="review", what=f"`vp review` of a change of {STACK}, warm", unit="s", values=whole),
        Measurement(name="review_render", what=f"`vp render {STACK}`, one side alone", unit="s", values=one),
    ]


def _timed(clone: Path, *arguments: str) -> float:
    # What is interrupted is told, not killed: a review takes its worktrees away itself.
    ended = run_to_its_end([sys.executable, "-m", "ops.cli", *arguments], clone)
    shown = "what changes" in ended.printed if arguments[0] == "review" else ended.status == 0
    if not shown:
        raise UserError(f"`vp {' '.join(arguments)}` shows nothing:\n{ended.printed}")
    return ended.seconds
