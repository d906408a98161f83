"""KEDA beside the API server: its operator, its server of metrics and its admission webhooks, with their own RBAC and manifests.

Started for a stack that scales by it, on a cluster that runs. The metrics reach autoscalers as they do in a real cluster, through the
API server: a Service of type ExternalName leads it to this machine.
"""

import base64
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml

from rehearsal.cluster.api import Api, Object, has_condition
from rehearsal.cluster.control_plane import KEDA_METRICS, KEDA_NAMESPACE, LOOPBACK
from rehearsal.cluster.launcher import Launcher, PortTakenError, free_ports, http_ok
from rehearsal.cluster.layout import ClusterLayout
from rehearsal.cluster.lifecycle import Report, connect, locked
from rehearsal.cluster.processes import ProcessTable
from rehearsal.errors import UserError
from rehearsal.toolchain import Toolchain

OPERATOR, ADAPTER, WEBHOOKS = "keda-operator", "keda-adapter", "keda-webhooks"
ENVIRONMENT = {
    "POD_NAMESPACE": KEDA_NAMESPACE,
    "KEDA_CLUSTER_OBJECT_NAMESPACE": KEDA_NAMESPACE,
    # All of them.
    "WATCH_NAMESPACE": "",
}
API_REGISTRATION = "apiregistration.k8s.io/v1"


@dataclass(frozen=True)
class KedaPorts:
    """Free TCP ports on loopback. service: where the server of metrics asks the operator."""

    operator_health: int
    service: int
    metrics: int
    metrics_own: int
    webhook: int
    webhook_health: int


def ensure_keda(layout: ClusterLayout, tools: Toolchain, report: Report) -> bool:
    """Start KEDA on a cluster that runs and knows its kinds, unless it is there. True if it was started now.

    On any failure, and on Ctrl-C, what was started here is stopped again. Raises UserError with the log's place.
    """
    with locked(layout), connect(layout) as api:
        table = ProcessTable(layout.record)
        if any(each.name == OPERATOR and each.alive for each in table.started):
            return False
        report("starting KEDA")
        before = list(table.started)
        try:
            _start(layout, tools, api, Launcher(layout, table))
        except BaseException as error:
            table.stop_all_but(before)
            if isinstance(error, PortTakenError):
                message = "a free port was taken by another program while KEDA started; try again"
                raise UserError(message) from None
            raise
    return True


def _start(layout: ClusterLayout, tools: Toolchain, api: Api, launch: Launcher) -> None:
    ports = KedaPorts(*free_ports(6))
    assets = tools.assets("keda")
    certificates = _certificates(layout)
    kubeconfig = layout.config / "keda.kubeconfig"
    api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": KEDA_NAMESPACE}})
    for document in rbac(assets):
        api.apply(document)
    launch(OPERATOR, operator(tools.bin(OPERATOR), kubeconfig, certificates, ports), ENVIRONMENT)
    launch(WEBHOOKS, webhooks(tools.bin(WEBHOOKS), kubeconfig, certificates, ports), ENVIRONMENT)
    launch.wait("KEDA's operator", lambda: http_ok(ports.operator_health, "/readyz"), OPERATOR)
    launch(ADAPTER, adapter(tools.bin(ADAPTER), kubeconfig, certificates, ports), ENVIRONMENT)
    launch.wait("KEDA's webhooks", lambda: http_ok(ports.webhook_health, "/readyz"), WEBHOOKS)
    for document in [*metrics_api(assets, ports, certificates), *admission(assets, ports, certificates)]:
        api.apply(document)
    name = _one(assets / "config" / "metrics-server" / "api_service.yaml")["metadata"]["name"]

    def served() -> bool:
        return has_condition(api.get(API_REGISTRATION, "APIService", name) or {}, "Available")

    launch.wait("KEDA's metrics", served, ADAPTER)


def _certificates(layout: ClusterLayout) -> Path:
    """A folder as KEDA's programs read it: one certificate for all three, and the cluster's authority."""
    folder = layout.config / "keda"
    folder.mkdir(exist_ok=True, mode=0o700)
    for name, source in {
        "tls.crt": "keda-server.crt",
        "tls.key": "keda-server.key",
        "ca.crt": "ca.crt",
    }.items():
        shutil.copy(layout.pki / source, folder / name)
    return folder


def rbac(assets: Path) -> list[Object]:
    """The rights of its manifests. The chart's are narrower in two points: other kinds to scale, and Secrets."""
    config = assets / "config"
    files = [
        config / "rbac" / "role.yaml",
        config / "rbac" / "role_binding.yaml",
        config / "metrics-server" / "role.yaml",
        config / "metrics-server" / "role_binding.yaml",
    ]
    return [document for file in files for document in _load(file)]


def metrics_api(assets: Path, ports: KedaPorts, certificates: Path) -> list[Object]:
    """The API of external metrics, served by a process of this machine."""
    registration = _one(assets / "config" / "metrics-server" / "api_service.yaml")
    registration["spec"] |= {"caBundle": _bundle(certificates)}
    registration["spec"]["service"] |= {"port": ports.metrics}
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": KEDA_METRICS, "namespace": KEDA_NAMESPACE},
        "spec": {"type": "ExternalName", "externalName": "localhost"},
    }
    return [service, registration]


def admission(assets: Path, ports: KedaPorts, certificates: Path) -> list[Object]:
    """The webhooks. Their manifest lets objects pass while they are away; here they must have looked."""
    configuration = next(
        d
        for d in _load(assets / "config" / "webhooks" / "validation_webhooks.yaml")
        if d["kind"] == "ValidatingWebhookConfiguration"
    )
    for hook in configuration["webhooks"]:
        path = hook["clientConfig"].pop("service")["path"]
        url = f"https://{LOOPBACK}:{ports.webhook}{path}"
        hook["clientConfig"] |= {"url": url, "caBundle": _bundle(certificates)}
        hook["failurePolicy"] = "Fail"
    return [configuration]


def operator(binary: Path, kubeconfig: Path, certificates: Path, ports: KedaPorts) -> list[str]:
    """Command line of the operator; its metrics are off."""
    return [
        str(binary),
        f"--kubeconfig={kubeconfig}",
        "--enable-prometheus-metrics=false",
        f"--health-probe-bind-address={LOOPBACK}:{ports.operator_health}",
        f"--metrics-service-bind-address={LOOPBACK}:{ports.service}",
        f"--cert-dir={certificates}",
        f"--ca-dir={certificates}",
    ]


def adapter(binary: Path, kubeconfig: Path, certificates: Path, ports: KedaPorts) -> list[str]:
    """Command line of the server of metrics."""
    return [
        str(binary),
        f"--kubeconfig={kubeconfig}",
        f"--lister-kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        f"--bind-address={LOOPBACK}",
        f"--secure-port={ports.metrics}",
        f"--port={ports.metrics_own}",
        f"--metrics-service-address={LOOPBACK}:{ports.service}",
        f"--client-ca-file={certificates / 'ca.crt'}",
        f"--tls-cert-file={certificates / 'tls.crt'}",
        f"--tls-private-key-file={certificates / 'tls.key'}",
        f"--cert-dir={certificates}",
    ]


def webhooks(binary: Path, kubeconfig: Path, certificates: Path, ports: KedaPorts) -> list[str]:
    """Command line of the webhooks; their metrics are off."""
    return [
        str(binary),
        f"--kubeconfig={kubeconfig}",
        "--metrics-bind-address=0",
        f"--health-probe-bind-address={LOOPBACK}:{ports.webhook_health}",
        f"--port={ports.webhook}",
        f"--cert-dir={certificates}",
        # A Deployment of a moment ago counts.
        "--cache-miss-to-direct-client=true",
    ]


def _bundle(certificates: Path) -> str:
    return base64.b64encode((certificates / "ca.crt").read_bytes()).decode()


def _load(path: Path) -> list[Object]:
    return [cast("dict[str, Any]", d) for d in yaml.safe_load_all(path.read_text(encoding="utf-8")) if d]


def _one(path: Path) -> Object:
    (document,) = _load(path)
    return document
