"""A folder of charts, out of the Go modules that carry them whole.

They lie there as in their project's source: what a release fills in (versions, image names, generated definitions) is
filled in here in the same way.
"""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, cast

import yaml

from components import charts
from components.charts import Chart
from rehearsal.toolchain import Toolchain

GATEWAY_IMAGE: Final = "docker.io/envoyproxy/gateway"


def write_charts(tools: Toolchain, folder: Path) -> Path:
    """Write the charts and return the folder."""
    for chart, (tool, source, finish) in _SOURCES.items():
        target = folder / chart.name
        shutil.copytree(tools.assets(tool) / source, target)
        _set_version(target, chart)
        finish(target, tools, chart)
    return folder


def _set_version(chart: Path, pin: Chart) -> None:
    path = chart / "Chart.yaml"
    content = cast("dict[str, Any]", yaml.safe_load(path.read_text()))
    content |= {"version": pin.version, "appVersion": pin.version}
    # Of another project, off by default, and not in the module.
    own = [d for d in content.get("dependencies", []) if (chart / "charts" / d["name"]).is_dir()]
    content["dependencies"] = own
    path.write_text(yaml.safe_dump(content))
    (chart / "Chart.lock").unlink(missing_ok=True)


def _as_it_is(_: Path, __: Toolchain, ___: Chart) -> None:
    return


def _values_of_envoy(chart: Path, _: Toolchain, pin: Chart) -> None:
    text = (chart / "values.tmpl.yaml").read_text()
    filled = text.replace("${GatewayImage}", f"{GATEWAY_IMAGE}:{pin.version}").replace(
        "${GatewayImagePullPolicy}", "IfNotPresent"
    )
    assert "${" not in filled
    (chart / "values.yaml").write_text(filled)


def _definitions_of_external_secrets(chart: Path, tools: Toolchain, _: Chart) -> None:
    """Make templates of the kinds, as its `make helm.generate` does: with the switch, and the annotations of the values."""
    folder = chart / "templates" / "crds"
    (folder / "README.md").unlink(missing_ok=True)
    found = sorted(
        (tools.assets("external-secrets") / "config/crds/bases").glob("*external-secrets.io_*.yaml")
    )
    assert found
    for source in found:
        text = re.sub(r"^---\n", "", source.read_text())
        text = text.replace("{{", '{{"{{"}}')
        marked = text.replace(
            "  annotations:\n",
            "  annotations:\n    {{- with .Values.crds.annotations }}\n    {{- toYaml . | nindent 4 }}\n    {{- end }}\n",
            1,
        )
        (folder / source.name).write_text(f"{{{{- if .Values.installCRDs }}}}\n{marked}{{{{- end }}}}\n")


_SOURCES: Final[dict[Chart, tuple[str, str, Callable[[Path, Toolchain, Chart], None]]]] = {
    charts.CERT_MANAGER: ("cert-manager", "deploy/charts/cert-manager", _as_it_is),
    charts.GATEWAY_CRDS: ("envoy-gateway", "charts/gateway-crds-helm", _as_it_is),
    charts.ENVOY_GATEWAY: ("envoy-gateway", "charts/gateway-helm", _values_of_envoy),
    charts.EXTERNAL_SECRETS: (
        "external-secrets",
        "deploy/charts/external-secrets",
        _definitions_of_external_secrets,
    ),
    charts.KARPENTER: ("karpenter", "charts/karpenter", _as_it_is),
    charts.KARPENTER_CRD: ("karpenter", "charts/karpenter-crd", _as_it_is),
    charts.KSERVE_CRD: ("kserve", "charts/kserve-crd", _as_it_is),
    charts.KSERVE: ("kserve", "charts/kserve-resources", _as_it_is),
    charts.KSERVE_RUNTIMES: ("kserve", "charts/kserve-runtime-configs", _as_it_is),
}
