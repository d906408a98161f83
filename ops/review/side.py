"""One stack of one side of a change, worked out by that side's own code: `python -m ops.review.side STACK` prints JSON.

The program runs once; files, policies and summary are of the same graph.
"""

import datetime as dt
import json
import sys
from pathlib import Path
from typing import Any, Final

from ops.check import summarize
from ops.cost.report import report
from ops.policy import as_json, judge, policy_config
from ops.program_graph import program_graph
from ops.render import aws_files, helm_files, kubernetes_files, outputs_json
from rehearsal.errors import UserError
from settings.loader import load_stack_file
from settings.problems import SettingsError

FORM: Final = 1
"""Goes up when the document's form changes: sides of different forms are not compared."""


def look(stack: str, root: Path, today: dt.date) -> dict[str, Any]:
    """Return what there is to say of a stack. problem: why it can not be deployed; what is below it is then missing."""
    found: dict[str, Any] = {"form": FORM, "stack": stack, "problem": None, "files": {}, "policies": None}
    try:
        settings = load_stack_file(root / f"Pulumi.{stack}.yaml", over_budget=True)
    except SettingsError as error:
        return {**found, "problem": str(error)}
    found["summary"] = summarize(settings)
    found["cost"] = report(stack, settings, today)
    try:
        graph = program_graph(stack, root)
    except UserError as error:
        return {**found, "problem": str(error)}
    found["resources"] = len(graph.resources)
    found["files"] = {
        **kubernetes_files(graph),
        **helm_files(graph),
        **aws_files(graph),
        "outputs.json": outputs_json(graph),
    }
    try:
        found["policies"] = as_json(judge(graph, policy_config(stack, root)))
    except UserError as error:
        found["problem"] = str(error)
    return found


if __name__ == "__main__":
    try:
        document = look(sys.argv[1], Path.cwd(), dt.datetime.now(tz=dt.UTC).date())
    except UserError as refused:
        sys.exit(str(refused))
    json.dump(document, sys.stdout)
