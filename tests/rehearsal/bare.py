"""A rehearsal cluster with nodes and nothing else, and stacks that install add-ons into it as into a cluster that exists."""

import os
import subprocess
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from rich.console import Console

from rehearsal.cluster import lifecycle
from rehearsal.cluster.api import Api
from rehearsal.cluster.layout import ClusterLayout
from rehearsal.cluster.nodes import node_objects, reconcile_nodes
from rehearsal.update import Stack
from rehearsal.workspace import SALT, project_folder, pulumi_environment, write_project
from settings import build
from tests.rehearsal.chart_folder import write_charts
from tests.rehearsal.conftest import REPOSITORY, tools

PREVIEW_SECONDS: Final = 120
ZONES: Final = ["us-east-1a", "us-east-1b"]
POOLS: Final[list[dict[str, Any]]] = [
    {
        "kind": "cpu",
        "name": "platform",
        "instance_type": "c6i.4xlarge",
        "min": 3,
        "max": 3,
        "provisioner": {"kind": "managed"},
        "capacity": {"kind": "on-demand"},
    }
]


@dataclass(frozen=True, kw_only=True)
class Bare:
    """The cluster, and a folder with charts. `root` looks like a checkout."""

    root: Path
    layout: ClusterLayout
    charts: Path

    def config(self, **sections: object) -> dict[str, Any]:
        """Return a stack's configuration: the cluster as one that exists, charts from the folder, no models."""
        cluster = {
            "kind": "existing",
            "kubeconfig": str(self.layout.kubeconfig),
            "context": self.layout.name,
            "region": "us-east-1",
            "zones": ZONES,
        }
        sections = {
            "environment": "dev",
            "cluster": cluster,
            # No registry is there to be asked for an image, and no pod pulls one.
            "registry": {"kind": "external", "host": "registry.invalid"},
            "builds": {"check_digests": False},
            "charts": {"kind": "folder", "path": str(self.charts)},
            "pools": POOLS,
            "models": [],
            **sections,
        }
        return {f"vllm-platform:{name}": value for name, value in sections.items()}

    def stack(self, name: str, config: Mapping[str, Any]) -> Stack:
        """Return a stack of the project's own program."""
        return self._open(name, write_project(self.layout, name, config))

    def program(self, name: str, source: Path, config: Mapping[str, str]) -> Stack:
        """Return a stack of another program: one file."""
        folder = self.layout.root / f"program-{name}"
        folder.mkdir(exist_ok=True)
        for link, target in {"components": REPOSITORY / "components", "__main__.py": source}.items():
            if not (folder / link).is_symlink():
                (folder / link).symlink_to(target)
        (folder / "Pulumi.yaml").write_text(f"name: {name}\nruntime: python\n")
        values = {f"{name}:{key}": value for key, value in config.items()}
        (folder / f"Pulumi.{name}.yaml").write_text(
            yaml.safe_dump({"encryptionsalt": SALT, "config": values})
        )
        self.layout.pulumi_state.mkdir(exist_ok=True)
        return self._open(name, folder)

    def preview(self, name: str) -> subprocess.CompletedProcess[str]:
        """Run `pulumi preview` of one of the project's stacks by hand, as in the review of a change."""
        environment = {**os.environ, **pulumi_environment(self.layout, tools())}
        command = [str(tools().bin("pulumi")), "preview", "--stack", name, "--non-interactive"]
        return subprocess.run(
            command,
            cwd=project_folder(self.layout),
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=PREVIEW_SECONDS,
        )

    def _open(self, name: str, folder: Path) -> Stack:
        return Stack(
            name,
            folder,
            self.layout.pulumi_state,
            environment=pulumi_environment(self.layout, tools()),
            pulumi=tools().bin("pulumi"),
            console=Console(quiet=True),
        )

    def api(self) -> Api:
        """Return an administrator's connection."""
        return lifecycle.connect(self.layout)


@contextmanager
def bare_cluster(
    folder: Path, *, with_kserve: bool = False, run_elsewhere: Sequence[str] = ()
) -> Generator[Bare]:
    """Start one, with simulated nodes, and take it down again. `run_elsewhere`: namespaces whose pods KWOK leaves alone."""
    root = folder / "checkout"
    root.mkdir()
    for source in REPOSITORY.iterdir():
        if source.name not in {".rehearsal", ".git"}:
            (root / source.name).symlink_to(source)
    charts = folder / "charts"
    charts.mkdir()
    bare = Bare(
        root=root,
        layout=ClusterLayout(project_root=root, name="bare"),
        charts=write_charts(tools(), charts),
    )
    try:
        lifecycle.up(
            bare.layout, tools(), lambda _: None, with_kserve=with_kserve, run_elsewhere=run_elsewhere
        )
        with bare.api() as api:
            sections = {
                key.removeprefix("vllm-platform:"): value
                for key, value in bare.config(addons={"kserve": "off"}).items()
            }
            reconcile_nodes(api, node_objects(build("bare", sections), api.version()))
        yield bare
    finally:
        lifecycle.down(bare.layout)
