"""What every add-on is: a Helm release, or the definitions of kinds, and little else.

A file of this folder has, top to bottom: what the add-on owns and does not own, its Args, a pure function that
returns the chart's values, and the component. Which charts there are, and what each needs, stands in
`settings/addon_catalogue.py`; where they come from, and their versions, in `components/charts.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi
from pulumi_kubernetes.helm.v3 import Release
from pulumi_kubernetes.helm.v4 import Chart as RenderedChart

from components.addons.definitions import kept_and_light
from components.charts import OCI, Chart
from settings.charts import ChartSource, LocalCharts, MirroredCharts

TIMEOUT_SECONDS: Final = 900
"""Of a release: a node that has to be made first takes minutes."""
HISTORY: Final = 3
"""Releases that Helm remembers. Each is a Secret of up to 1 MiB, and by default all are kept."""
KEEP_DEFINITIONS: Final = "components/addons/keep_definitions.py"
"""Relative, so that the state is the same on every machine: the provider's process runs in the project's folder."""


@dataclass(frozen=True, kw_only=True)
class AddonArgs:
    """What every add-on is told.

    charts: where charts are taken from. namespace: its name, known once it is there.
    after: what must be there first. replicas: of what can have several.
    monitored: the cluster knows ServiceMonitors, so the chart shall make some.
    """

    charts: ChartSource
    namespace: pulumi.Input[str]
    after: Sequence[pulumi.Resource] = ()
    replicas: int = 2
    monitored: bool = False


class Addon(pulumi.ComponentResource):
    """Installs one chart. `ready`: the release's name, known once its pods run and its webhooks answer."""

    chart: Chart
    ready: pulumi.Output[str]

    def _install(
        self,
        name: str,
        args: AddonArgs,
        chart: Chart,
        values: Mapping[str, Any],
        *,
        skip_crds: bool = False,
        keep_definitions: bool = False,
    ) -> Release:
        """Make the release, called as the add-on is.

        skip_crds: for a chart with definitions in crds/, which Helm installs once and never upgrades, where another
        release has them. keep_definitions: for a chart whose definitions would go with the release, and that has no
        option to keep them.
        """
        self.chart = chart
        place = chart_place(chart, args.charts)
        release = Release(
            f"{name}-release",
            name=name,
            chart=place.chart,
            version=chart.version,
            repository_opts={"repo": place.repository} if place.repository else None,
            namespace=args.namespace,
            values=dict(values),
            skip_crds=skip_crds,
            postrender=KEEP_DEFINITIONS if keep_definitions else None,
            timeout=TIMEOUT_SECONDS,
            max_history=HISTORY,
            # Not data: what a chart needs (kinds, webhooks, nodes, rights) is no value of it.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[*args.after]),
        )
        self.ready = release.status.name
        self.register_outputs({"ready": self.ready})
        return release

    def _define(self, name: str, args: AddonArgs, chart: Chart, values: Mapping[str, Any]) -> RenderedChart:
        """Make the chart's definitions of kinds objects of this program, for a chart that can not be a release.

        They are upgraded with the chart and stay when the add-on goes.
        """
        self.chart = chart
        place = chart_place(chart, args.charts)
        rendered = RenderedChart(
            f"{name}-definitions",
            name=name,
            chart=place.chart,
            version=chart.version,
            repository_opts={"repo": place.repository} if place.repository else None,
            namespace=args.namespace,
            values=dict(values),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[*args.after], transforms=[kept_and_light]),
        )
        self.ready = pulumi.Output.from_input(chart.version)
        self.register_outputs({"ready": self.ready})
        return rendered


@dataclass(frozen=True, kw_only=True)
class ChartPlace:
    """What Helm is told: a chart, or its name in a repository."""

    chart: str
    repository: str | None = None


def chart_place(chart: Chart, source: ChartSource) -> ChartPlace:
    """Return where a chart is taken from."""
    match source:
        case LocalCharts():
            return ChartPlace(chart=f"{source.path}/{chart.name}")
        case MirroredCharts():
            return ChartPlace(chart=f"{source.registry}/{chart.name}")
        case _:
            repository = None if chart.repository.startswith(OCI) else chart.repository
            return ChartPlace(chart=chart.reference, repository=repository)
