"""Answers of AWS for what the server on loopback does not know; botocore checks each against its model of the service."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final

import boto3  # pyright: ignore[reportMissingTypeStubs]
from botocore.stub import Stubber  # pyright: ignore[reportMissingTypeStubs]

from ops.preflight import answer
from ops.preflight_checks.aws import Aws
from ops.preflight_checks.calls import Call
from ops.preflight_checks.finding import Finding, Probe, Target
from settings import Settings, load_stack_file
from settings.cluster import EksCluster
from tests.conftest import ROOT

NOW: Final = datetime(2026, 11, 23, 12, tzinfo=UTC)
REGION: Final = "us-east-1"


class Stubs:
    """Clients that answer in the order in which they were told to, and take no other question."""

    def __init__(self) -> None:
        self._clients: dict[str, Any] = {}
        self._stubbers: dict[str, Any] = {}

    def client(self, service: str, _region: str = REGION) -> Any:  # noqa: ANN401 - boto3 makes it out of data
        if service not in self._clients:
            made = _session().client(service, region_name=REGION)
            self._stubbers[service] = Stubber(made)
            self._stubbers[service].activate()
            self._clients[service] = made
        return self._clients[service]

    def answers(self, call: Call, response: dict[str, Any], expected: dict[str, Any] | None = None) -> None:
        """Answer the next question of a service; `expected` are its parameters."""
        self.client(call.service)
        self._stubbers[call.service].add_response(call.operation, response, expected)

    def refuses(self, call: Call, code: str, *, status: int = 400) -> None:
        self.client(call.service)
        self._stubbers[call.service].add_client_error(
            call.operation, service_error_code=code, service_message="said so", http_status_code=status
        )

    def nothing_left(self) -> None:
        """Every answer was asked for."""
        for stubber in self._stubbers.values():
            stubber.assert_no_pending_responses()


@cache
def _session() -> Any:  # noqa: ANN401
    return boto3.Session(aws_access_key_id="none", aws_secret_access_key="none")  # noqa: S106 - nobody's


def prod() -> Settings:
    return load_stack_file(ROOT / "Pulumi.prod.yaml")


def target_of(settings: Settings) -> Target:
    assert isinstance(settings.cluster, EksCluster)
    return Target(settings=settings, cluster=settings.cluster, now=NOW)


def with_cluster(settings: Settings, **changes: Any) -> Settings:  # noqa: ANN401
    return settings.model_copy(update={"cluster": settings.cluster.model_copy(update=changes)})


def with_pool(settings: Settings, name: str, **changes: Any) -> Settings:  # noqa: ANN401
    pools = (pool.model_copy(update=changes) if pool.name == name else pool for pool in settings.pools)
    return settings.model_copy(update={"pools": tuple(pools)})


def only_pools(settings: Settings, *names: str) -> Settings:
    return settings.model_copy(update={"pools": tuple(p for p in settings.pools if p.name in names)})


def findings_of(
    check: Callable[[Aws, Target], Iterable[Probe]], settings: Settings, stubs: Stubs
) -> dict[str, Finding]:
    """Ask the questions of one check, and return the findings by what they are about."""
    probes = check(Aws(REGION, stubs.client), target_of(settings))
    found = {probe.subject: answer("check", probe) for probe in probes}
    stubs.nothing_left()
    return found
