"""A configuration of the program's, for a collector on this machine instead of a node.

What is put in the place of what: addresses and folders, as listed in `Place`; the processor that asks the API server is
left out where there is none. Everything else is what the chart would be given.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rehearsal.cluster.launcher import free_ports

LOOPBACK: Final = "127.0.0.1"
POD_ADDRESS: Final = "${env:MY_POD_IP}"
KEPT: Final = "/var/lib/otelcol"
POD_LOGS: Final = "/var/log/pods"
POD_FACTS: Final = "k8s_attributes"


@dataclass(frozen=True, kw_only=True)
class Ports:
    """Of one collector, on loopback, instead of the fixed ones on its pod's address."""

    grpc: int
    http: int
    peers: int
    health: int
    metrics: int


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where one collector runs.

    :param folder: its own: what it keeps (instead of a volume), its log, its configuration.
    :param logs: instead of the node's folder of pods' logs.
    :param ports: its own.
    :param texts: other addresses, by what stands in the configuration.
    :param pod_facts: there is an API server, and the shell's KUBECONFIG leads to it.
    """

    folder: Path
    logs: Path
    ports: Ports
    texts: Mapping[str, str]
    pod_facts: bool = False


def ports() -> Ports:
    """Return ports that are free now."""
    grpc, http, peers, health, metrics = free_ports(5)
    return Ports(grpc=grpc, http=http, peers=peers, health=health, metrics=metrics)


def on_loopback(configuration: Mapping[str, Any], place: Place) -> dict[str, Any]:
    """Return the configuration for a place. The given one stays as it is."""
    kept = place.folder / "kept"
    kept.mkdir(parents=True, exist_ok=True)
    numbers = place.ports
    texts = {
        f"{POD_ADDRESS}:4317": f"{LOOPBACK}:{numbers.grpc}",
        f"{POD_ADDRESS}:4318": f"{LOOPBACK}:{numbers.http}",
        f"{POD_ADDRESS}:4316": f"{LOOPBACK}:{numbers.peers}",
        f"{POD_ADDRESS}:13133": f"{LOOPBACK}:{numbers.health}",
        POD_ADDRESS: LOOPBACK,
        KEPT: str(kept),
        POD_LOGS: str(place.logs),
        **place.texts,
    }
    written = json.dumps(configuration)
    for before, after in texts.items():
        written = written.replace(json.dumps(before)[1:-1], json.dumps(after)[1:-1])
    here: dict[str, Any] = json.loads(written)
    for reader in here["service"]["telemetry"]["metrics"]["readers"]:
        reader["pull"]["exporter"]["prometheus"]["port"] = numbers.metrics
    facts = here["processors"].get(POD_FACTS)
    if facts is not None and place.pod_facts:
        # A pod has an account; a program on this machine has a file.
        facts["auth_type"] = "kubeConfig"
    elif facts is not None:
        del here["processors"][POD_FACTS]
        for pipeline in here["service"]["pipelines"].values():
            pipeline["processors"] = [name for name in pipeline["processors"] if name != POD_FACTS]
    return here
