"""KWOK, which plays the kubelets: it reports nodes ready and moves their pods through their phases. It runs no container."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from rehearsal.cluster.api import Object
from rehearsal.cluster.control_plane import LOOPBACK

# Addresses for simulated pods; not routed anywhere. A /16 has room for more pods than one API server of a rehearsal holds.
POD_RANGE = "10.244.0.0/16"
# A node whose KWOK is gone becomes NotReady as it would in a real cluster (the controller manager's grace period is 50 s).
NODE_LEASE_SECONDS = 40
# Folders of KWOK's own stage definitions. "fast": pods are ready as soon as they are scheduled; delays would only make a rehearsal longer.
STAGES = ("node/fast", "node/heartbeat-with-lease", "pod/fast")


def stage_files(stage_dir: Path) -> list[Path]:
    """The stage manifests of KWOK's module that a rehearsal uses."""
    return [
        p
        for stage in STAGES
        for p in sorted((stage_dir / stage).glob("*.yaml"))
        if p.name != "kustomization.yaml"
    ]


def kwok_config(stage_dir: Path, run_elsewhere: Sequence[str] = ()) -> str:
    """KWOK's configuration file: options and stages in one multi-document YAML.

    run_elsewhere: namespaces whose pods are left alone, for somebody else to run.
    """
    options = {
        "cidr": POD_RANGE,
        "nodeIP": LOOPBACK,
        "manageAllNodes": True,
        "nodeLeaseDurationSeconds": NODE_LEASE_SECONDS,
        "podPlayStageParallelism": 8,
        "nodePlayStageParallelism": 8,
        "nodeLeaseParallelism": 8,
        "enablePodsOnNodeSyncStreamWatch": True,
    }
    head = yaml.safe_dump(
        {"apiVersion": "config.kwok.x-k8s.io/v1alpha1", "kind": "KwokConfiguration", "options": options}
    )
    stages = [p.read_text() for p in stage_files(stage_dir)]
    if run_elsewhere:
        stages = [_leaving_alone(yaml.safe_load(stage), run_elsewhere) for stage in stages]
    return "\n---\n".join([head, *stages])


def _leaving_alone(stage: dict[str, Any], namespaces: Sequence[str]) -> str:
    if stage["spec"]["resourceRef"]["kind"] == "Pod":
        others = {"key": ".metadata.namespace", "operator": "NotIn", "values": list(namespaces)}
        stage["spec"]["selector"]["matchExpressions"].append(others)
    return yaml.safe_dump(stage)


def kwok_rbac(rbac_dir: Path) -> list[Object]:
    """KWOK's own RBAC, as its module ships it."""
    documents: list[dict[str, Any]] = []
    for name in ("role.yaml", "role_binding.yaml", "flow_schema.yaml"):
        documents += [d for d in yaml.safe_load_all((rbac_dir / name).read_text()) if d]
    return documents


def command(binary: Path, kubeconfig: Path, config: Path) -> list[str]:
    """Command line of KWOK."""
    # Its HTTP server (exec, logs) is left off: without --server-address nothing listens.
    return [str(binary), f"--kubeconfig={kubeconfig}", f"--config={config}"]
