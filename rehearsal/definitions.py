"""Kinds of add-ons that a rehearsal cluster knows without running them.

The objects that the program makes of these kinds are then checked by a real API server.

They come from the add-ons' own Go modules, in the versions of their charts (a test compares).
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import yaml

from rehearsal.cluster.api import Api, json_bytes, resource_path, wait_until
from rehearsal.cluster.kserve import CRD_API, Manifest
from rehearsal.cluster.launcher import established
from rehearsal.errors import UserError
from rehearsal.toolchain import Toolchain
from settings.addon_catalogue import Unit

CRD: Final = "CustomResourceDefinition"
DEFINED_SECONDS: Final = 60.0


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where the kinds of a unit lie: files of a tool's assets. `whole`: one file with all of them."""

    tool: str
    files: str
    whole: bool = False


SOURCES: Final[dict[str, Source]] = {
    "gateway-api": Source(
        tool="gateway-api", files="config/crd/standard/gateway.networking.k8s.io_[!v]*.yaml"
    ),
    "prometheus-definitions": Source(
        tool="prometheus-operator", files="example/prometheus-operator-crd/monitoring.coreos.com_*.yaml"
    ),
    "cert-manager": Source(tool="cert-manager", files="deploy/crds/*cert-manager.io_*.yaml"),
    "istio-base": Source(tool="istio", files="kubernetes/customresourcedefinitions.gen.yaml", whole=True),
    "keda": Source(tool="keda", files="config/crd/bases/*keda.sh_*.yaml"),
    "envoy-gateway-definitions": Source(
        tool="envoy-gateway",
        files="charts/gateway-helm/charts/crds/crds/generated/gateway.envoyproxy.io_*.yaml",
    ),
    "kong": Source(tool="kong", files="config/crd/ingress-controller/configuration.konghq.com_*.yaml"),
    "external-secrets": Source(
        tool="external-secrets", files="config/crds/bases/*external-secrets.io_*.yaml"
    ),
    "cloudnative-pg": Source(tool="cloudnative-pg", files="config/crd/bases/postgresql.cnpg.io_*.yaml"),
    "cloudnative-pg-backups": Source(
        tool="cloudnative-pg-backups", files="config/crd/bases/barmancloud.cnpg.io_*.yaml"
    ),
    "karpenter-definitions": Source(tool="karpenter", files="pkg/apis/crds/karpenter.*.yaml"),
    "kserve-definitions": Source(tool="kserve", files="config/crd/full/serving.kserve.io_*.yaml"),
}


def tools_of(units: Iterable[Unit]) -> list[str]:
    """Return the tools that hold the kinds of some units."""
    return sorted({SOURCES[unit.name].tool for unit in units if unit.name in SOURCES})


def define(api: Api, tools: Toolchain, units: Iterable[str]) -> int:
    """Make the cluster know the kinds of some units. Returns how many there are. Raises UserError when it does not take one."""
    manifests = [
        manifest for unit in units if unit in SOURCES for manifest in _manifests(tools, SOURCES[unit])
    ]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(api.apply_bytes, [m.path for m in manifests], [m.body for m in manifests]))

    if not wait_until(lambda: all(established(api, m.path) for m in manifests), seconds=DEFINED_SECONDS):
        message = f"the cluster did not take the kinds of {', '.join(units)} within {DEFINED_SECONDS:.0f} s"
        raise UserError(message)
    return len(manifests)


def _manifests(tools: Toolchain, source: Source) -> list[Manifest]:
    files = sorted(tools.assets(source.tool).glob(source.files))
    if not files:
        message = (
            f"tool {source.tool} has no {source.files}: build it again with `vp tools build {source.tool}`"
        )
        raise UserError(message)
    if source.whole:
        return [manifest for file in files for manifest in _documents(file)]
    return [Manifest(path=_path(_name(file)), body=file.read_bytes()) for file in files]


def _documents(file: Path) -> Iterator[Manifest]:
    for document in yaml.load_all(file.read_text(encoding="utf-8"), yaml.CSafeLoader):
        content = cast("dict[str, Any] | None", document)
        if content and content["kind"] == CRD:
            yield Manifest(path=_path(content["metadata"]["name"]), body=json_bytes(content))


def _name(file: Path) -> str:
    """Take a kind's name from its file's: `GROUP_PLURAL.yaml`. To read megabytes of YAML for it takes seconds."""
    group, _, plural = file.stem.rpartition("_")
    return f"{plural}.{group}"


def _path(name: str) -> str:
    return resource_path(CRD_API, CRD, None, name)
