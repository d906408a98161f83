"""What the settings of objectives and alerts mean."""

from typing import Final

TELEMETRY: Final[dict[str, str]] = {
    "Model.objectives": (
        "What the model promises; alerts say when its error budget runs out "
        "([docs/observability.md](observability.md#objectives))."
    ),
    "Observability.runbooks": (
        "Address of the folder in which `docs/runbooks` is published, for links in alerts and dashboards; "
        "left out, alerts name the path in this repository."
    ),
    "Observability.tracing": (
        "Whether gateway and engines write traces ([docs/observability.md](observability.md#traces)); needs the collector and Tempo."
    ),
    "NoTracing.kind": "nobody writes traces",
    "SampledTracing.kind": "of every request, and a choice of them is kept",
    "SampledTracing.percent": "How many of the requests are kept that are neither slow nor failed.",
    "SampledTracing.slower_than_seconds": "Every request that takes longer is kept.",
    "Objectives.availability": "Percent of requests that are not answered with 5xx.",
    "Objectives.first_token_seconds": (
        "Within this 99 % get their first token, of an embedding their answer; a bound of vLLM's histogram."
    ),
    "Objectives.inter_token_seconds": "Within this 99 % of tokens follow the one before; `generate` only.",
    "Objectives.request_seconds": "Within this 99 % of requests are answered whole, e.g. 0.3.",
}
