"""Where a stack runs: how it is deployed, looked at and measured. The real one, or its rehearsal on this machine."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, cast
from urllib.parse import urlsplit

from pulumi import automation as auto
from rich.console import Console

from ops.cluster_api import ClusterApi, ClusterError
from ops.rollout.prometheus import Chunks, PrometheusError
from rehearsal.cluster import lifecycle
from rehearsal.cluster.layout import ClusterLayout
from rehearsal.engine import PulumiStack, workspace_options
from rehearsal.errors import UserError
from rehearsal.rehearse import open_stack, plan
from rehearsal.toolchain import PULUMI_TOOLS, REHEARSAL_TOOLS, ensure_tools, find_tools
from settings.cluster import EksCluster, ExistingCluster, RehearsalCluster
from settings.stack import Settings

PROXY: Final = "/api/v1/namespaces/{namespace}/services/{scheme}:{name}:{port}/proxy"


class Place(ABC):
    """A deployment of a stack."""

    def __init__(self, stack: str, root: Path, console: Console) -> None:
        self.stack = stack
        self.root = root
        self.console = console
        self._login: ClusterApi | None = None

    def cluster(self) -> ClusterApi:
        """Return a login to its API server. Raises UserError."""
        if self._login is None:
            self._login = self.log_in()
        return self._login

    @abstractmethod
    def log_in(self) -> ClusterApi:
        """Log in. Raises UserError."""

    @abstractmethod
    def deploy(self) -> None:
        """Run `pulumi up` on the stack file as it is. Raises UserError."""

    @abstractmethod
    def pulumi(self) -> PulumiStack:
        """Return the stack as Pulumi has it: its outputs, its updates. Raises UserError."""

    @abstractmethod
    def prometheus_address(self) -> str | None:
        """Return the address of Prometheus inside the cluster, if the stack has one."""


class Rehearsed(Place):
    """The stack's rehearsal: the committed file is edited, and deployed after the rehearsal's substitutions."""

    def log_in(self) -> ClusterApi:
        """Log in to the embedded API server, which must run."""
        if lifecycle.status(self._layout).state != "running":
            raise UserError(
                f"the rehearsal cluster {self.stack} does not run: start it with `vp rehearse {self.stack}`"
            )
        return ClusterApi(self._layout.kubeconfig, None)

    def deploy(self) -> None:
        """Run `pulumi up` as `vp rehearse` does."""
        self.pulumi().up()

    def pulumi(self) -> PulumiStack:
        """Open the rehearsal's own stack, with the settings of now."""
        return open_stack(
            plan(self.stack, self.root), self._layout, find_tools(REHEARSAL_TOOLS), self.console
        )

    def prometheus_address(self) -> str | None:
        """Nothing: a rehearsal runs no pod."""
        return None

    @property
    def _layout(self) -> ClusterLayout:
        return ClusterLayout(project_root=self.root, name=self.stack)


class Deployed(Place):
    """The stack itself, with the backend, credentials and Pulumi of whoever runs this."""

    def __init__(self, stack: str, root: Path, console: Console, settings: Settings) -> None:
        super().__init__(stack, root, console)
        self._settings = settings
        self._opened: PulumiStack | None = None

    def log_in(self) -> ClusterApi:
        """Log in where the stack file says; on EKS by the context that `aws eks update-kubeconfig` makes."""
        cluster = self._settings.cluster
        match cluster:
            case ExistingCluster():
                return ClusterApi(Path(cluster.kubeconfig).expanduser(), cluster.context)
            case RehearsalCluster():
                raise UserError(f"stack {self.stack} is for a rehearsal: add --rehearsal")
            case EksCluster():
                try:
                    return ClusterApi(None, cluster.arn)
                except ClusterError as error:
                    raise ClusterError(f"{error}\nfix: {cluster.login}") from None

    def deploy(self) -> None:
        """Run `pulumi up`."""
        self.pulumi().up()

    def prometheus_address(self) -> str | None:
        """Return the stack's output `prometheus_url`."""
        return cast("str | None", self.pulumi().outputs().get("prometheus_url"))

    def pulumi(self) -> PulumiStack:
        """Open the stack in its backend."""
        if self._opened is None:
            tools = ensure_tools(PULUMI_TOOLS, self.console)
            options = workspace_options(self.root, tools.bin("pulumi"), tools.env())
            try:
                stack = auto.select_stack(self.stack, work_dir=str(self.root), opts=options)
            except auto.CommandError as error:
                raise UserError(f"Pulumi does not open stack {self.stack}: {error}") from None
            self._opened = PulumiStack(stack, self.console)
        return self._opened


def place_of(stack: str, root: Path, console: Console, settings: Settings, *, rehearsal: bool) -> Place:
    """Return where a stack runs, or where its rehearsal does."""
    return Rehearsed(stack, root, console) if rehearsal else Deployed(stack, root, console, settings)


def in_cluster(place: Place, address: str) -> Chunks:
    """Reach an address inside the cluster through its API server, with the rights to do so (`services/proxy`)."""
    url = urlsplit(address)
    name, _, rest = (url.hostname or "").partition(".")
    namespace = rest.partition(".")[0]
    port = url.port or (443 if url.scheme == "https" else 80)
    proxy = PROXY.format(namespace=namespace, scheme=url.scheme, name=name, port=port)

    def get(path: str, parameters: Mapping[str, str]) -> Iterator[bytes]:
        try:
            yield from place.cluster().stream(proxy + url.path.rstrip("/") + path, parameters)
        except ClusterError as error:
            raise PrometheusError(str(error)) from None

    return get
