"""Starts, inspects and removes a rehearsal cluster."""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

from rehearsal.cluster import control_plane, kserve, kwok
from rehearsal.cluster.api import Api
from rehearsal.cluster.control_plane import KSERVE_NAMESPACE, Identities, Ports
from rehearsal.cluster.launcher import Launcher, PortTakenError, established, free_ports, http_ok
from rehearsal.cluster.layout import ClusterLayout
from rehearsal.cluster.orphans import stop_orphans
from rehearsal.cluster.processes import ProcessTable, Started
from rehearsal.errors import UserError
from rehearsal.toolchain import Toolchain

# Another program may take a free port between our look and the process's start.
PORT_ATTEMPTS = 3

State = Literal["absent", "running", "dead"]
Report = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Status:
    """What is there of a cluster. `dead` are processes that were started and are gone without `down`."""

    state: State
    alive: tuple[Started, ...] = ()
    dead: tuple[Started, ...] = ()


def status(layout: ClusterLayout) -> Status:
    """Look at the processes; the API server is not asked."""
    if not layout.root.is_dir() or not any(layout.root.iterdir()):
        return Status(state="absent")
    table = ProcessTable(layout.record)
    dead = tuple(table.dead)
    alive = tuple(s for s in table.started if s not in dead)
    return Status(state="running" if alive and not dead else "dead", alive=alive, dead=dead)


def memory_mib(found: Status) -> int:
    """Resident memory of a cluster's live processes, in MiB."""
    total = 0
    for process in (s.find() for s in found.alive):
        with contextlib.suppress(psutil.Error):
            total += process.memory_info().rss if process else 0
    return total // 2**20


def connect(layout: ClusterLayout) -> Api:
    """An administrator's connection. Raises UserError when the cluster was never started."""
    server = layout.root / "server"
    if not server.exists():
        message = f"there is no rehearsal cluster {layout.name}: start it with `vp cluster up {layout.name}`"
        raise UserError(message)
    return Api(
        server.read_text().strip(),
        ca=layout.pki / "ca.crt",
        cert=layout.pki / "admin.crt",
        key=layout.pki / "admin.key",
    )


def up(
    layout: ClusterLayout,
    tools: Toolchain,
    report: Report,
    *,
    with_kserve: bool = True,
    run_elsewhere: Sequence[str] = (),
) -> bool:
    """Start the cluster unless it runs. True if it was started now.

    run_elsewhere: namespaces whose pods KWOK leaves alone, for the caller to run.

    A cluster of which processes are gone is removed first, with the Pulumi state that described it: half a control plane can not be trusted.
    On any failure, and on Ctrl-C, everything that was started is stopped again; the logs stay until the next `up` or `down`.
    Raises UserError with the log's place.
    """
    with locked(layout):
        found = status(layout)
        if found.state == "running":
            return False
        if found.state == "dead":
            names = ", ".join(s.name for s in found.dead) or "all processes"
            report(f"cluster {layout.name}: {names} ended without `down`; cleaning up and starting anew")
        _remove(layout)
        for attempt in range(1, PORT_ATTEMPTS + 1):
            table = ProcessTable(layout.record)
            try:
                _start(layout, tools, table, report, with_kserve=with_kserve, run_elsewhere=run_elsewhere)
            except PortTakenError:
                table.stop_all()
                _remove(layout)
                if attempt == PORT_ATTEMPTS:
                    message = f"cluster {layout.name}: free ports were taken by another program {PORT_ATTEMPTS} times in a row; try again"
                    raise UserError(message) from None
            except BaseException:
                table.stop_all()
                raise
            else:
                return True
    return True


def down(layout: ClusterLayout) -> int:
    """Stop what runs and remove the cluster's folder. Returns how many processes were stopped."""
    if not layout.root.is_dir():
        return 0
    with locked(layout):
        alive = len(status(layout).alive)
        _remove(layout)
    with contextlib.suppress(OSError):
        layout.root.parent.rmdir()
    return alive


def _remove(layout: ClusterLayout) -> None:
    ProcessTable(layout.record).stop_all()
    stop_orphans(layout.pulumi_state)
    if layout.root.is_dir():
        for child in layout.root.iterdir():
            shutil.rmtree(child) if child.is_dir() else child.unlink()


@contextlib.contextmanager
def locked(layout: ClusterLayout) -> Generator[None]:
    """One command at a time works on a cluster. The lock is on the folder itself, so that no file is left."""
    while True:
        layout.root.mkdir(parents=True, exist_ok=True)
        handle = os.open(layout.root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            # `down` of another command may have removed the folder while this one waited.
            with contextlib.suppress(FileNotFoundError):
                if layout.root.stat().st_ino == os.fstat(handle).st_ino:
                    yield
                    return
        finally:
            with contextlib.suppress(OSError):
                if layout.root.is_dir() and not any(layout.root.iterdir()):
                    layout.root.rmdir()
            os.close(handle)


def _start(
    layout: ClusterLayout,
    tools: Toolchain,
    table: ProcessTable,
    report: Report,
    *,
    with_kserve: bool,
    run_elsewhere: Sequence[str],
) -> None:
    ports = Ports(*free_ports(5))
    layout.config.mkdir(parents=True, exist_ok=True)
    ids = control_plane.issue_identities(layout.pki, layout.name)
    for path, identity in _kubeconfigs(layout, ids).items():
        control_plane.write_kubeconfig(
            path, cluster=layout.name, server=ports.server, ca=ids.ca, identity=identity
        )
    launch = Launcher(layout, table)

    report("starting etcd and the API server")
    launch("etcd", control_plane.etcd(tools.bin("etcd"), layout.etcd_data, ports, ids))
    launch("kube-apiserver", control_plane.api_server(tools.bin("kube-apiserver"), ports, ids))
    (layout.root / "server").write_text(ports.server)
    with connect(layout) as api:
        launch.wait("the API server", api.ready, "kube-apiserver")

        report("starting controller manager, scheduler and KWOK")
        kwok_assets = tools.assets("kwok")
        config = layout.config / "kwok.yaml"
        config.write_text(kwok.kwok_config(kwok_assets / "kustomize" / "stage", run_elsewhere))
        for document in kwok.kwok_rbac(kwok_assets / "kustomize" / "rbac"):
            api.apply(document)
        manager = control_plane.controller_manager(
            tools.bin("kube-controller-manager"), layout.config / "controller-manager.kubeconfig", ids
        )
        launch("kube-controller-manager", manager)
        launch(
            "kube-scheduler",
            control_plane.scheduler(tools.bin("kube-scheduler"), layout.config / "scheduler.kubeconfig"),
        )
        launch("kwok", kwok.command(tools.bin("kwok"), layout.config / "kwok.kubeconfig", config))
        if with_kserve:
            _start_kserve(layout, tools, api, ports, ids, launch, report)
        accounts = "the controller manager"
        launch.wait(
            accounts,
            lambda: api.get("v1", "ServiceAccount", "default", "default") is not None,
            "kube-controller-manager",
        )


def _start_kserve(  # noqa: PLR0917 - one step of _start, split for its length
    layout: ClusterLayout,
    tools: Toolchain,
    api: Api,
    ports: Ports,
    ids: Identities,
    launch: Launcher,
    report: Report,
) -> None:
    report("installing KServe's CRDs and starting its controller")
    assets = tools.assets("kserve")
    api.apply(
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": KSERVE_NAMESPACE, "labels": {"control-plane": "kserve"}},
        }
    )
    crds = kserve.crds(assets)
    with ThreadPoolExecutor(len(crds)) as pool:
        list(pool.map(api.apply_bytes, [c.path for c in crds], [c.body for c in crds]))
    for document in [*kserve.rbac(assets), kserve.config_map(assets)]:
        api.apply(document)
    certificates = layout.tmp / kserve.CERTIFICATE_DIR
    certificates.mkdir(parents=True)
    shutil.copy(ids.kserve_webhook.cert, certificates / "tls.crt")
    shutil.copy(ids.kserve_webhook.key, certificates / "tls.key")
    launch.wait("KServe's CRDs", lambda: all(established(api, crd.path) for crd in crds), "kube-apiserver")
    launch(
        "kserve-controller",
        kserve.command(tools.bin("kserve-controller"), layout.config / "kserve.kubeconfig", ports),
        {"POD_NAMESPACE": KSERVE_NAMESPACE},
    )
    launch.wait("KServe's controller", lambda: http_ok(ports.kserve_health, "/readyz"), "kserve-controller")
    for manifest in kserve.webhooks(assets, ports, ids.ca):
        api.apply_bytes(manifest.path, manifest.body)


def _kubeconfigs(layout: ClusterLayout, ids: Identities) -> dict[Path, control_plane.KeyPair]:
    return {
        layout.kubeconfig: ids.admin,
        layout.config / "controller-manager.kubeconfig": ids.controller_manager,
        layout.config / "scheduler.kubeconfig": ids.scheduler,
        layout.config / "kwok.kubeconfig": ids.kwok,
        layout.config / "kserve.kubeconfig": ids.kserve,
        layout.config / "keda.kubeconfig": ids.keda,
    }
