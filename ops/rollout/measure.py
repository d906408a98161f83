"""Asks Prometheus for everything that the judge compares."""

import math
from dataclasses import dataclass
from typing import Final

from ops.rollout import queries
from ops.rollout.judge import Distribution, Measured, Requests, Time
from ops.rollout.observe import Live
from ops.rollout.prometheus import Prometheus
from ops.rollout.queries import Window
from settings.facts import Task
from settings.scalars import CANARY_SUFFIX

TIMES: Final[dict[Task, tuple[Time, ...]]] = {
    "generate": ("first token", "inter-token"),
    "embed": ("first token",),
}


@dataclass(frozen=True, kw_only=True)
class Meter:
    """Measures both versions of one model."""

    prometheus: Prometheus
    namespace: str
    model: str
    task: Task

    def measure(self, live: Live, weight: int) -> tuple[Measured, Measured]:
        """Return the candidate's and the stable version's numbers, over the time that the step stands. Raises PrometheusError.

        Where the stable version has no traffic any more, its numbers are those of as long a time before the step.
        """
        now = Window(seconds=max(1, math.floor(live.age)))
        before = Window(seconds=now.seconds, ago=now.seconds)
        compared = now if weight < 100 else before  # noqa: PLR2004 - percent
        candidate = self.model + CANARY_SUFFIX
        return self._of(candidate, live, now), self._of(self.model, live, compared)

    def _of(self, service: str, live: Live, window: Window) -> Measured:
        pods = queries.pods_of(service, self.namespace)
        times: dict[Time, Distribution] = {
            time: self._times(queries.distribution(time, pods, window)) for time in TIMES[self.task]
        }
        return Measured(
            engine=self._engine(pods, window), gateway=self._gateway(service, live, window), times=times
        )

    def _engine(self, pods: str, window: Window) -> Requests:
        total = self._number(queries.engine_requests(pods, window, "any"))
        if total is None:
            return Requests()
        # A status that no request ever had is a series that is not there.
        return Requests(
            total=total,
            refused=self._number(queries.engine_requests(pods, window, "refused")) or 0.0,
            failed=self._number(queries.engine_requests(pods, window, "failed")) or 0.0,
        )

    def _gateway(self, service: str, live: Live, window: Window) -> Requests:
        pods = queries.endpoints_of(self.model, self.namespace, live.addresses.get(service, ()))
        return Requests(
            total=self._number(queries.gateway_requests(pods, window)),
            failed=self._number(queries.gateway_errors(pods, window)),
        )

    def _number(self, query: str) -> float | None:
        samples = self.prometheus.ask(query)
        return samples[0].value if samples else None

    def _times(self, query: str) -> Distribution:
        buckets = sorted(
            (float(sample.labels["le"]), sample.value)
            for sample in self.prometheus.ask(query)
            if "le" in sample.labels
        )
        whole = bool(buckets) and math.isinf(buckets[-1][0])
        # Pods are not asked at the same moment: a smaller bucket may be ahead of the next one.
        rising: list[tuple[float, float]] = []
        for bound, count in buckets if whole else []:
            rising.append((bound, max(count, rising[-1][1] if rising else 0.0)))
        return Distribution(buckets=tuple(rising))
