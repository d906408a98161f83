"""The metrics of vLLM 0.32 that scaling, roll-outs and dashboards read: its names, labels and buckets.

`tests/image/test_small_engine.py` holds them equal to what a real vLLM shows.
"""

from itertools import takewhile
from typing import Final

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

LABELS: Final = ("engine", "model_name")
ENGINE: Final = "0"
_FIRST_TOKEN: Final = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75),
    *(1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0, 160.0, 640.0, 2560.0),
)
_BETWEEN: Final = (
    *(0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75),
    *(1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0),
)
_WHOLE: Final = (
    *(0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0),
    *(120.0, 240.0, 480.0, 960.0, 1920.0, 7680.0),
)
_TOKENS: Final = (
    *(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000, 200_000),
)


class Metrics:
    """Of one engine with one model. `max_model_len` is the last bucket of token counts."""

    def __init__(self, model: str, max_model_len: int, registry: CollectorRegistry = REGISTRY) -> None:
        self._model = model
        self._registry = registry
        tokens = tuple(takewhile(lambda bound: bound <= max_model_len, _TOKENS))
        self.running = self._gauge("num_requests_running")
        self.waiting = self._gauge("num_requests_waiting")
        self.kv_cache = self._gauge("kv_cache_usage_perc")
        self.prompt_tokens = self._counter("prompt_tokens")
        self.generation_tokens = self._counter("generation_tokens")
        self.first_token = self._histogram("time_to_first_token_seconds", _FIRST_TOKEN)
        self.between_tokens = self._histogram("inter_token_latency_seconds", _BETWEEN)
        self.per_token = self._histogram("request_time_per_output_token_seconds", _BETWEEN)
        self.whole = self._histogram("e2e_request_latency_seconds", _WHOLE)
        self.queued = self._histogram("request_queue_time_seconds", _WHOLE)
        self.request_prompt = self._histogram("request_prompt_tokens", tokens)
        self.request_generation = self._histogram("request_generation_tokens", tokens)
        success = Counter(
            "vllm:request_success",
            "Count of successfully processed requests.",
            (*LABELS, "finished_reason"),
            registry=registry,
        )
        # As vLLM, which shows every reason from the start.
        reasons = ("stop", "length", "abort", "error", "repetition")
        self.success = {reason: success.labels(ENGINE, model, reason) for reason in reasons}

    def _gauge(self, name: str) -> Gauge:
        return Gauge(f"vllm:{name}", name, LABELS, registry=self._registry).labels(ENGINE, self._model)

    def _counter(self, name: str) -> Counter:
        return Counter(f"vllm:{name}", name, LABELS, registry=self._registry).labels(ENGINE, self._model)

    def _histogram(self, name: str, buckets: tuple[float, ...]) -> Histogram:
        made = Histogram(f"vllm:{name}", name, LABELS, buckets=buckets, registry=self._registry)
        return made.labels(ENGINE, self._model)
