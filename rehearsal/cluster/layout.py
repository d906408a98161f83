"""Where a rehearsal cluster keeps its files: everything lies under `.rehearsal/NAME/`, so that removing it removes the cluster."""

from dataclasses import dataclass
from pathlib import Path

STATE_DIR = ".rehearsal"


@dataclass(frozen=True, kw_only=True)
class ClusterLayout:
    """Paths of one cluster. Nothing is created by this class."""

    project_root: Path
    name: str

    @property
    def root(self) -> Path:
        """The cluster's folder."""
        return self.project_root / STATE_DIR / self.name

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig, for people and for the Pulumi program."""
        return self.root / "kubeconfig"

    @property
    def pki(self) -> Path:
        """Certificates and keys."""
        return self.root / "pki"

    @property
    def logs(self) -> Path:
        """One log a process."""
        return self.root / "logs"

    @property
    def config(self) -> Path:
        """Files that the processes read: their kubeconfigs, KWOK's stages."""
        return self.root / "config"

    @property
    def etcd_data(self) -> Path:
        """Etcd's data folder."""
        return self.root / "etcd"

    @property
    def tmp(self) -> Path:
        """TMPDIR of the processes. controller-runtime looks for its webhook certificate in a folder below it."""
        return self.root / "tmp"

    @property
    def record(self) -> Path:
        """The processes that were started, written after each start."""
        return self.root / "processes.json"

    @property
    def pulumi_state(self) -> Path:
        """The Pulumi file backend. It lies inside the cluster's folder because it describes this cluster's objects and must end with it."""
        return self.root / "state"


def existing_clusters(project_root: Path) -> list[ClusterLayout]:
    """Every cluster that has a folder, running or not, by name."""
    base = project_root / STATE_DIR
    if not base.is_dir():
        return []
    return [
        ClusterLayout(project_root=project_root, name=p.name) for p in sorted(base.iterdir()) if p.is_dir()
    ]
