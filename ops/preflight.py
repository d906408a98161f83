"""`vp preflight`: what AWS lacks for a stack, all at once, before `pulumi up` finds it out one by one.

Needs credentials, asks only what reads, and changes nothing.
"""

import json
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from ops.preflight_checks.aws import Aws, DeniedError, NoAnswerError
from ops.preflight_checks.calls import WHO_AM_I
from ops.preflight_checks.finding import Finding, Probe, Status, Target, unknown
from ops.preflight_checks.table import CHECKS
from ops.program_graph import ProgramGraph, program_graph
from rehearsal.errors import UserError
from settings.cluster import EksCluster
from settings.loader import load_stack_file
from settings.problems import Problem, SettingsError

if TYPE_CHECKING:
    from rich.console import Console

Output = Literal["text", "json"]
STATUSES: Final[tuple[Status, ...]] = ("ok", "missing", "unknown")
NOTE: Final = "what else runs in the account counts against the same quotas, and is not subtracted"


def preflight(
    stack: str,
    root: Path,
    output: Output = "text",
    console: "Console | None" = None,
    aws: Aws | None = None,
    *,
    program: Callable[[str, Path], ProgramGraph] = program_graph,
) -> int:
    """Ask AWS for what Pulumi.STACK.yaml in `root` needs; print the findings. Return 1 if something is missing.

    program: what returns the stack's graph, for tests.

    Raises UserError where AWS can not be asked at all.
    """
    from ops.preflight_text import output_console, show, show_refused  # noqa: PLC0415 - rich takes 80 ms

    out = console or output_console()
    try:
        settings = load_stack_file(root / f"Pulumi.{stack}.yaml")
    except SettingsError as error:
        if output == "json":
            problems = [_problem(one) for one in error.problems]
            _write_json(out, {"stack": stack, "ok": False, "problems": problems, "findings": []})
        else:
            show_refused(error, out)
        return 1
    cluster = settings.cluster
    if not isinstance(cluster, EksCluster):
        reason = (
            f"cluster.kind is {cluster.kind}: the program creates nothing on AWS, there is nothing to ask"
        )
        if output == "json":
            _write_json(out, {"stack": stack, "ok": True, "reason": reason, "findings": []})
        else:
            out.print(f"stack {stack}: {reason}", markup=False, highlight=False, soft_wrap=True)
        return 0
    target = Target(
        settings=settings,
        cluster=cluster,
        now=datetime.now(tz=UTC),
        resources=lambda: program(stack, root).resources,
    )
    with _progress() as say:
        findings = list(ask(aws or Aws(cluster.region), target, say))
    report = {"stack": stack, "region": cluster.region, "account": cluster.account, **summarize(findings)}
    if output == "json":
        _write_json(out, report)
    else:
        show(report, out)
    return 0 if report["ok"] else 1


def ask(aws: Aws, target: Target, say: Callable[[str], object] = str) -> Iterator[Finding]:
    """Yield the findings of every check; of another account than the stack's only that it is another.

    say: is told the name of each check before it begins. Raises UserError where AWS can not be asked at all.
    """
    reach(aws)
    for name, check in CHECKS.items():
        say(name)
        for probe in check(aws, target):
            finding = answer(name, probe)
            yield finding
            if name == "account" and finding.status == "missing":
                return


def reach(aws: Aws) -> None:
    """Ask the one question that everybody may ask. Raises UserError where there is no answer."""
    try:
        aws.ask(WHO_AM_I)
    except DeniedError:
        return
    except NoAnswerError as error:
        raise UserError(f"AWS can not be asked: {error.found}\nfix: {error.fix}") from None


def answer(check: str, probe: Probe) -> Finding:
    """Ask one question; a question that AWS does not answer is a finding, too."""
    try:
        outcome = probe.look()
    except NoAnswerError as error:
        outcome = unknown(error.found, error.fix)
    return Finding(
        check=check,
        subject=probe.subject,
        status=outcome.status,
        found=outcome.found,
        needed=probe.needed,
        fix=outcome.fix,
    )


def summarize(findings: list[Finding]) -> dict[str, Any]:
    """Return the findings as plain values, with how many there are of each status."""
    counts = Counter(finding.status for finding in findings)
    return {
        "ok": not counts["missing"],
        "counts": {status: counts[status] for status in STATUSES},
        "note": NOTE,
        "findings": [asdict(finding) for finding in findings],
    }


@contextmanager
def _progress() -> Generator[Callable[[str], object]]:
    """Show which check is at work, on a terminal and nowhere else. Standard output stays for the result."""
    from rich.console import Console  # noqa: PLC0415 - rich takes 80 ms

    console = Console(stderr=True)
    if not console.is_terminal:
        yield str
        return
    with console.status("asking AWS") as status:
        yield lambda name: status.update(f"asking AWS: {name}")


def _problem(problem: Problem) -> dict[str, str | None]:
    value = None if problem.value is None else problem.shown_value
    return {"path": problem.path, "value": value, "reason": problem.reason, "fix": problem.fix}


def _write_json(console: "Console", value: object) -> None:
    console.print(json.dumps(value, indent=2), markup=False, highlight=False, soft_wrap=True)
