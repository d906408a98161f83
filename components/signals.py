"""What a scaler asks Prometheus, one pure function a signal. Each returns PromQL whose answer is one number or nothing.

The number is a sum over the replicas. KEDA hands it to its HorizontalPodAutoscaler as an AverageValue: sum over target is the
number of replicas that are needed. So a replica that has no series yet, because it starts, adds nothing and distorts nothing.
An average over series would say of one busy and two silent replicas that all are busy.

Nothing, and not zero, is the answer when no replica is scraped: the fallback holds then. Zero would take replicas away from under
a load that nobody sees.

Labels are those that the program's own scrape sets (`model_monitor`), and the DCGM exporter's of the same names. Each query selects by
the InferenceService, because a Deployment is what is scaled: a model's new version beside the old one is another.
"""

from typing import Final

from components.scaling import GPU_UTILIZATION_METRIC

SERVICE_LABEL: Final = "serving.kserve.io/inferenceservice"
"""Label of the pods, by KServe: the name of their InferenceService."""
SERVICE_SERIES_LABEL: Final = "serving_kserve_io_inferenceservice"
"""What Prometheus makes of it."""
GATEWAY_MONITOR: Final = "gateway"
"""Name of the PodMonitor of the gateway's proxies (`model_monitor`)."""
DEMAND_WINDOW: Final = "1m"
"""Four scrapes. A single request is seen for so long, by every look that KEDA takes in it."""


def running(namespace: str, service: str) -> str:
    """Requests that the engines work on, in all replicas."""
    return f"sum({_of_each_engine('vllm:num_requests_running', namespace, service)})"


def waiting(namespace: str, service: str) -> str:
    """Requests that wait for a place in an engine, in all replicas."""
    return f"sum({_of_each_engine('vllm:num_requests_waiting', namespace, service)})"


def kv_cache(namespace: str, service: str) -> str:
    """Used share of the KV cache, 0 to 1 a replica, added up. A replica with several engines counts once, with their mean."""
    engines = _of_each_engine("vllm:kv_cache_usage_perc", namespace, service)
    return f"sum(avg by (pod) ({engines}))"


def gpu_utilization(namespace: str, service: str) -> str:
    """Percent of the time in which the GPUs did anything, a replica, added up. A replica with several GPUs counts once.

    A poor signal: one request keeps a GPU as busy as thirty do. What it says is that there is some work, not how much.
    """
    gpus = f"max by (pod, gpu) ({GPU_UTILIZATION_METRIC}{_selector(namespace, service)})"
    return f"sum(avg by (pod) ({gpus}))"


def gateway_demand(namespace: str, service: str) -> str:
    """Requests that came to the gateway for a model in the last minute, answered or not, and those under way.

    Envoy counts a request that reached a replica in `upstream_rq_total`, and one for which no connection came about in
    `upstream_rq_pending_failure_eject`. The gauge keeps the last replica while a long generation runs.

    Not by `rate` or `increase`: Envoy Gateway has the counters of an upstream made with its first request, so the first number is 1,
    and a rise needs two. A counter that was not there a minute ago counts from 0 here. Where the gateway is watched and has no counter,
    nobody ever asked.
    """
    labels = f'{{envoy_cluster_name="{gateway_cluster(namespace, service)}"}}'
    came = " + ".join(
        f"sum({_risen(f'envoy_cluster_{counter}{labels}')})"
        for counter in ("upstream_rq_total", "upstream_rq_pending_failure_eject")
    )
    watched = f'max(up{{job="{gateway_job(namespace)}"}} == 1)'
    return f"({came} + sum(envoy_cluster_upstream_rq_active{labels})) or 0 * {watched}"


def gateway_job(namespace: str) -> str:
    """Label `job` that Prometheus gives to the gateway's proxies: their PodMonitor's namespace and name."""
    return f"{namespace}/{GATEWAY_MONITOR}"


def _risen(counter: str) -> str:
    """How much each series of a counter rose in the last minute, new ones from 0; a restart of Envoy counts as no rise."""
    before = f"{counter} offset {DEMAND_WINDOW} or {counter} * 0"
    return f"clamp_min({counter} - ({before}), 0)"


def gateway_cluster(namespace: str, service: str) -> str:
    """Name that Envoy Gateway (v1.9) gives to the upstream of a model's route: an HTTPRoute of the model's name, its first rule.

    It is there at zero replicas only if the route's routing type is Service. With Endpoint, the default, a route without endpoints
    becomes an answer of Envoy's own, which is counted for the whole listener and for no route.
    """
    return f"httproute/{namespace}/{service}/rule/0"


def or_zero_without_replicas(query: str, namespace: str, deployment: str) -> str:
    """Make nothing into zero while a Deployment has no ready replica, for a model that may have none.

    Where a replica is ready and says nothing, the answer stays nothing. The number of ready replicas is kube-state-metrics'.
    """
    ready = f'kube_deployment_status_replicas_ready{{namespace="{namespace}",deployment="{deployment}"}}'
    return f"({query}) or 0 * max({ready} == 0)"


def _of_each_engine(metric: str, namespace: str, service: str) -> str:
    """One series an engine: two scrapes of one, as by a second monitor, count once."""
    return f"max by (pod, engine) ({metric}{_selector(namespace, service)})"


def _selector(namespace: str, service: str) -> str:
    return f'{{namespace="{namespace}",{SERVICE_SERIES_LABEL}="{service}"}}'
