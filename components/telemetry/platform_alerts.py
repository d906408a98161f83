"""Alerts on what all models share: GPUs, certificates and the counting of requests. Pure."""

from collections.abc import Iterator
from typing import Any, Final

from components.telemetry.rules import MODEL, Alert, group
from settings.limits import RequestLimits

OF_THE_APPLICATION: Final = (13, 31, 43, 45)
"""XID errors (NVIDIA's numbers) that a program may cause by itself, and that leave the GPU as it was."""
MEMORY_FULL: Final = 0.98
"""Share of a GPU's memory. An engine takes `gpu_memory_utilization` of it at its start, and no more later."""
CERTIFICATE_DAYS: Final = 7
"""cert-manager renews after two thirds of a certificate's time; of the shortest here, 90 days, a month is left then."""
_OF_GPU: Final = {"model": f"{{{{ $labels.{MODEL} }}}}"}


def platform_alerts(
    namespace: str, *, gpus: bool, certificates: bool, limits: RequestLimits | None
) -> dict[str, Any]:
    """Return the group. `gpus`, `certificates`: the add-on that counts them is there. limits: that Envoy keeps."""
    alerts = [
        *(_of_gpus(namespace) if gpus else ()),
        *(_of_certificates() if certificates else ()),
        *(_of_limits(namespace, limits) if limits is not None else ()),
    ]
    return group("platform-alerts", [alert.rule() for alert in alerts])


def _of_gpus(namespace: str) -> Iterator[Alert]:
    harmless = " or ".join(f"DCGM_FI_DEV_XID_ERRORS == {number}" for number in OF_THE_APPLICATION)
    yield Alert(
        name="GpuXidError",
        severity="critical",
        # The last error's number stays until the driver is loaded anew, so the alert does, too.
        expression=f"(DCGM_FI_DEV_XID_ERRORS > 0) unless ({harmless})",
        wait="0m",
        summary="A GPU reported an error of its hardware or driver",
        description="XID {{ $value }} of GPU {{ $labels.gpu }} on {{ $labels.node }}.",
        labels=_OF_GPU,
    )
    yield Alert(
        name="GpuMemoryBroken",
        severity="critical",
        expression="DCGM_FI_DEV_ROW_REMAP_FAILURE > 0",
        wait="0m",
        summary="A GPU can no longer replace broken rows of its memory",
        description="GPU {{ $labels.gpu }} on {{ $labels.node }} has to be exchanged.",
        labels=_OF_GPU,
    )
    yield Alert(
        name="GpuMemoryFull",
        severity="warning",
        expression=(
            "DCGM_FI_DEV_FB_USED / (DCGM_FI_DEV_FB_USED + DCGM_FI_DEV_FB_FREE + DCGM_FI_DEV_FB_RESERVED)"
            f" > {MEMORY_FULL}"
        ),
        wait="15m",
        summary="A GPU has hardly any memory left",
        description="{{ $value | humanizePercentage }} of GPU {{ $labels.gpu }} on {{ $labels.node }} are in use.",
        labels=_OF_GPU,
    )
    # A pod that waits for a node has none yet.
    given = f'namespace="{namespace}",resource="nvidia_com_gpu",node!=""'
    asked = f"kube_pod_container_resource_requests{{{given}}}"
    yield Alert(
        name="GpuTelemetryMissing",
        severity="warning",
        expression=f"sum({asked}) > 0 and on () absent(DCGM_FI_DEV_GPU_UTIL)",
        wait="15m",
        summary="Models have GPUs, and nothing is known of these",
        description="{{ $value }} GPUs are given to pods, and none has a series of the DCGM exporter's.",
    )


def _of_certificates() -> Iterator[Alert]:
    yield Alert(
        name="CertificateEndsSoon",
        severity="warning",
        expression=(
            f"certmanager_certificate_expiration_timestamp_seconds - time() < {CERTIFICATE_DAYS * 24 * 3600}"
        ),
        wait="1h",
        summary="A certificate that should have been renewed ends within a week",
        description="{{ $labels.name }} in {{ $labels.exported_namespace }} ends in {{ $value | humanizeDuration }}.",
    )


def _of_limits(namespace: str, limits: RequestLimits) -> Iterator[Alert]:
    """Envoy answers by itself then, and that is no answer of any upstream: no objective counts it."""
    refused = limits.when_down != "pass"
    errors = f'envoy_cluster_ratelimit_error{{envoy_cluster_name=~"httproute/{namespace}/.+"}}'
    yield Alert(
        name="RequestsNotCounted",
        severity="critical" if refused else "warning",
        expression=f"sum(rate({errors}[5m])) > 0",
        wait="2m",
        summary="What counts requests does not answer: "
        + ("each request is refused" if refused else "no limit holds"),
        description="{{ $value | humanize }} requests a second.",
    )
