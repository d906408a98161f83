"""`vp dashboards`: a stack's dashboards as files, for a Grafana that reads them from elsewhere than the cluster."""

from pathlib import Path
from typing import Final

from ops.program_graph import program_graph
from rehearsal.errors import UserError

SUFFIX: Final = ".json"
_COMPONENT: Final = "vllm-platform:observability:Dashboards$"
_PREFIX: Final = "dashboard-"


def write_dashboards(stack: str, root: Path, out: Path) -> list[Path]:
    """Write those that the program would deploy, and remove from the folder what is none of them. Return the files.

    Raises UserError where the stack has none.
    """
    made: dict[str, str] = {}
    for resource in program_graph(stack, root).resources:
        if _COMPONENT in resource["urn"]:
            name = resource["inputs"]["metadata"]["name"].removeprefix(_PREFIX)
            (made[name],) = resource["inputs"]["data"].values()
    if not made:
        message = f"stack {stack} has no dashboards: it has no Prometheus, or no model runs"
        raise UserError(message)
    out.mkdir(parents=True, exist_ok=True)
    for old in out.glob(f"*{SUFFIX}"):
        if old.stem not in made:
            old.unlink()
    files: list[Path] = []
    for name, text in made.items():
        files.append(out / f"{name}{SUFFIX}")
        files[-1].write_text(text, encoding="utf-8")
    return files
