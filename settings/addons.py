"""Which parts of the platform this program installs, which are there already, and which a stack does without."""

from typing import Final, Literal

from settings.base import Section

Choice = Literal["managed", "existing", "off"]
CHOICES: Final[tuple[Choice, ...]] = ("managed", "existing", "off")


class Addons(Section):
    """One word for each add-on; None leaves it to the cluster's kind and to what the stack asks for (`addon_choices`).

    managed: a Helm release of this program. existing: somebody else's; it is looked at and left alone. off: not there.
    """

    cert_manager: Choice | None = None
    gateway_api: Choice | None = None
    nvidia_device_plugin: Choice | None = None
    dcgm_exporter: Choice | None = None
    metrics_server: Choice | None = None
    istio: Choice | None = None
    kserve: Choice | None = None
    kserve_runtimes: Choice | None = None
    keda: Choice | None = None
    prometheus: Choice | None = None
    prometheus_adapter: Choice | None = None
    loki: Choice | None = None
    tempo: Choice | None = None
    otel_collector: Choice | None = None
    envoy_gateway: Choice | None = None
    kong: Choice | None = None
    vault: Choice | None = None
    external_secrets: Choice | None = None
    cloudnative_pg: Choice | None = None
    harbor: Choice | None = None
    load_balancer_controller: Choice | None = None
    karpenter: Choice | None = None
