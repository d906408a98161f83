"""KServe's controller as a process beside the API server: its CRDs, RBAC, configuration and admission webhooks come from its own Go module."""

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import yaml

from rehearsal.cluster.api import Object, json_bytes, resource_path
from rehearsal.cluster.control_plane import KSERVE_NAMESPACE, LOOPBACK, Ports

CRD_API = "apiextensions.k8s.io/v1"
CONFIG_MAP = "inferenceservice-config"
# Traffic reaches models by the platform's own routes, so KServe makes none. The add-on's chart is told the same.
DECIDED_INGRESS: Final[dict[str, Any]] = {
    "disableIngressCreation": True,
    "disableIstioVirtualHost": True,
    "ingressDomain": "svc.cluster.local",
}
# Where controller-runtime looks for tls.crt and tls.key, below TMPDIR.
CERTIFICATE_DIR = Path("k8s-webhook-server") / "serving-certs"


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """A manifest as it is sent: path of the object and body."""

    path: str
    body: bytes


def crds(assets: Path) -> list[Manifest]:
    """KServe's CRDs without those of LLMInferenceService and the local model cache, whose controllers are not run."""
    folder = assets / "config" / "crd" / "full"
    files = [
        *sorted(folder.glob("serving.kserve.io_*.yaml")),
        *sorted((folder / "clusterstoragecontainer").glob("serving.kserve.io_*.yaml")),
    ]
    # The file name holds group and plural, which together are the object's name; reading 2.4 MB of YAML to learn it takes seconds.
    return [
        Manifest(
            path=resource_path(CRD_API, "CustomResourceDefinition", None, _crd_name(f)), body=f.read_bytes()
        )
        for f in files
    ]


def _crd_name(file: Path) -> str:
    group, plural = file.stem.split("_")
    return f"{plural}.{group}"


def rbac(assets: Path) -> list[Object]:
    """The controller's role and binding from its own manifests, so that a permission that they lack shows in a rehearsal."""
    folder = assets / "config" / "rbac"
    role = _load(folder / "role.yaml")
    binding = _load(folder / "role_binding.yaml")
    for document in binding:
        for subject in document["subjects"]:
            subject["namespace"] = KSERVE_NAMESPACE
    return [*role, *binding]


def config_map(assets: Path) -> Object:
    """The controller's configuration: upstream's defaults with the two sections that the platform's Helm values change."""
    document = _load(assets / "config" / "configmap" / "inferenceservice.yaml")[0]
    data: dict[str, str] = {k: v for k, v in document["data"].items() if k != "_example"}
    ingress = json.loads(data["ingress"])
    ingress |= DECIDED_INGRESS
    data["ingress"] = json.dumps(ingress)
    data["deploy"] = json.dumps({"defaultDeploymentMode": "Standard"})
    metadata = {"name": CONFIG_MAP, "namespace": KSERVE_NAMESPACE}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def decided(config: Object) -> dict[str, Any]:
    """Return the sections of the configuration that the platform decides, and not KServe."""
    data = config["data"]
    ingress = json.loads(data["ingress"])
    return {
        "deploy": json.loads(data["deploy"]),
        "ingress": {key: ingress[key] for key in DECIDED_INGRESS},
    }


def webhooks(assets: Path, ports: Ports, ca: Path) -> list[Manifest]:
    """The admission webhooks, called at the process's own address instead of a Service, verified by the cluster's authority."""
    bundle = base64.b64encode(ca.read_bytes()).decode()
    manifests: list[Manifest] = []
    for document in _load(assets / "config" / "webhook" / "manifests.yaml"):
        document["metadata"].pop("creationTimestamp", None)
        for hook in document["webhooks"]:
            path = hook["clientConfig"].pop("service")["path"]
            hook["clientConfig"] |= {
                "url": f"https://{LOOPBACK}:{ports.kserve_webhook}{path}",
                "caBundle": bundle,
            }
        target = resource_path(document["apiVersion"], document["kind"], None, document["metadata"]["name"])
        manifests.append(Manifest(path=target, body=json_bytes(document)))
    return manifests


def command(binary: Path, kubeconfig: Path, ports: Ports) -> list[str]:
    """Command line of the controller; its metrics server is off."""
    return [
        str(binary),
        f"--kubeconfig={kubeconfig}",
        "--metrics-addr=0",
        f"--webhook-port={ports.kserve_webhook}",
        f"--health-probe-addr={LOOPBACK}:{ports.kserve_health}",
    ]


def _load(path: Path) -> list[dict[str, Any]]:
    text = (
        path.read_text()
        .replace("$(kserveNamespace)", KSERVE_NAMESPACE)
        .replace("$(webhookServiceName)", "kserve-webhook-server-service")
    )
    return [cast("dict[str, Any]", d) for d in yaml.safe_load_all(text) if d]
