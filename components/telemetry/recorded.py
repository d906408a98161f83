"""Recording rules: what dashboards and alerts ask often, and the two names that vLLM does not have. Pure.

Named LEVEL:METRIC:OPERATIONS. A level is the labels that are left: `model` has namespace and model, `version` also what of
the model's versions it is.

`vllm:tokens_processed_total` and `vllm:request_duration_seconds` were asked for by these names; no vLLM has them. The first
is made of `vllm:prompt_tokens_total` and `vllm:generation_tokens_total`, a counter for each engine, as those are; the second
is the histogram `vllm:e2e_request_latency_seconds`, of which `:p99_rate5m` is the 99th percentile.
"""

from typing import Any, Final

from components.telemetry.replica_rules import COST
from components.telemetry.rules import MODEL, TRACK, VERSION, Rule, group, record

TOKENS: Final = "vllm:tokens_processed_total"
PROCESSED: Final = "model:vllm_tokens_processed:rate5m"
REQUEST_P99: Final = "vllm:request_duration_seconds:p99_rate5m"
TTFT_P99: Final = "model:vllm_time_to_first_token_seconds:p99_rate5m"
TTFT_MEAN: Final = "model:vllm_time_to_first_token_seconds:mean_rate5m"
ITL_P99: Final = "model:vllm_inter_token_latency_seconds:p99_rate5m"
REQUESTS: Final = "version:vllm_platform_requests:rate5m"
FAILURES: Final = "version:vllm_platform_requests_failed:rate5m"
MILLION_COST: Final = "model:cost_usd_per_million_tokens:rate1h"
"""Where prices are known, and only where there were tokens: idle replicas cost something, and bring none."""

_MODEL: Final = f"namespace, {MODEL}"
_VERSION: Final = f"{_MODEL}, {TRACK}, {VERSION}"


def recorded() -> dict[str, Any]:
    """Return the group of them. Of every model in every namespace; a model that comes later is in them."""
    rules: list[Rule] = [
        record(TOKENS, "vllm:prompt_tokens_total + vllm:generation_tokens_total"),
        record(PROCESSED, f"sum by ({_MODEL}) (rate({TOKENS}[5m]))"),
        record(REQUEST_P99, _p99("vllm:e2e_request_latency_seconds")),
        record(TTFT_P99, _p99("vllm:time_to_first_token_seconds")),
        record(TTFT_MEAN, _mean("vllm:time_to_first_token_seconds")),
        record(ITL_P99, _p99("vllm:inter_token_latency_seconds")),
        record(REQUESTS, f"sum by ({_VERSION}) (rate(vllm_platform_requests_total[5m]))"),
        # Of a version that never failed there is no counter of failures.
        record(
            FAILURES,
            f'sum by ({_VERSION}) (rate(vllm_platform_requests_total{{status_code=~"5.."}}[5m])) or 0 * {REQUESTS}',
        ),
        record(
            MILLION_COST,
            # Both over the whole hour: a model that was there for a part of it has no series in the rest, and no tokens.
            f"1e6 * sum by ({_MODEL}) (sum_over_time({COST}[1h:1m])) / 60"
            f" / (sum by ({_MODEL}) (increase({TOKENS}[1h])) > 0)",
        ),
    ]
    return group("models-recorded", rules)


def _p99(histogram: str) -> str:
    return f"histogram_quantile(0.99, sum by ({_MODEL}, le) (rate({histogram}_bucket[5m])))"


def _mean(histogram: str) -> str:
    def rate(part: str) -> str:
        return f"sum by ({_MODEL}) (rate({histogram}_{part}[5m]))"

    return f"{rate('sum')} / {rate('count')}"
