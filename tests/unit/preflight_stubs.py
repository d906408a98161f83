"""Answers of AWS for what the server on loopback does not know; botocore checks each against its model of the service."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

import boto3  # pyright: ignore[reportMissingTypeStubs]
from botocore.stub import Stubber  # pyright: ignore[reportMissingTypeStubs]

from ops.preflight import answer
from ops.preflight_checks.aws import Aws
from ops.preflight_checks.calls import (
    ADDON_CONFIGURATION,
    ADDON_VERSIONS,
    BUCKET,
    BUCKET_ENCRYPTION,
    BUCKET_PUBLIC_ACCESS,
    BUCKET_VERSIONING,
    CLUSTER_VERSIONS,
    HOSTED_ZONE,
    KEY,
    OFFERINGS,
    PARAMETERS,
    QUOTA,
    RESERVATIONS,
    WHO_AM_I,
    ZONES,
    Call,
)
from ops.preflight_checks.finding import Finding, Probe, Target
from ops.program_graph import ProgramGraph
from settings import Settings, load_stack_file
from settings.cluster import EksCluster
from tests.conftest import ROOT

NOW: Final = datetime(2026, 11, 23, 12, tzinfo=UTC)
REGION: Final = "us-east-1"
DEPLOYER: Final = "arn:aws:sts::123456789012:assumed-role/llm-platform-deployer/ann"
QUOTAS: Final = {"L-1216C47A": 640, "L-DB2E81BA": 768, "L-417A185B": 192, "L-3819A6DF": 256, "L-0263D0A3": 5}


TOLD_ADDONS: Final = ("aws-ebs-csi-driver", "aws-efs-csi-driver", "eks-node-monitoring-agent", "vpc-cni")
TOLD: Final = {"configurationValues": "{}", "podIdentityAssociations": [{"serviceAccount": "its-own"}]}


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


def quick_program(_stack: str, _root: Path) -> ProgramGraph:
    """Stand in for the program of prod, which takes ten seconds to run: it declares the add-ons that are told something."""
    cluster = target_of(prod()).cluster
    addons = tuple(
        {
            "type": "aws:eks/addon:Addon",
            "inputs": {"addonName": name, "addonVersion": cluster.addon_version(name), **TOLD},
        }
        for name in TOLD_ADDONS
    )
    return ProgramGraph(resources=addons, outputs={}, warnings=())


def target_of(settings: Settings) -> Target:
    assert isinstance(settings.cluster, EksCluster)
    return Target(settings=settings, cluster=settings.cluster, now=NOW, resources=tuple)


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


def everything_is_there(
    stubs: Stubs, *, quotas: Mapping[str, int] | None = None, version_denied: bool = False
) -> None:
    """Answer all that prod asks, in the order in which it is asked; a quota may be another one."""
    cluster = target_of(prod()).cluster
    stubs.answers(WHO_AM_I, {"Account": cluster.account, "Arn": DEPLOYER})
    zone_ids = {"us-east-1a": "use1-az6", "us-east-1b": "use1-az1"}
    zones = [
        {"ZoneName": name, "ZoneId": zone, "State": "available", "ZoneType": "availability-zone"}
        for name, zone in zone_ids.items()
    ]
    stubs.answers(ZONES, {"AvailabilityZones": zones})
    types = {pool.instance_type for pool in prod().pools}
    offered = [{"InstanceType": one, "Location": zone} for one in types for zone in zone_ids]
    stubs.answers(OFFERINGS, {"InstanceTypeOfferings": offered})
    for code, value in {**QUOTAS, **(quotas or {})}.items():
        stubs.answers(QUOTA, {"Quota": {"QuotaCode": code, "Value": value}})
    reservation = {
        "State": "active",
        "InstanceType": "p4d.24xlarge",
        "AvailabilityZone": "us-east-1a",
        "TotalInstanceCount": 1,
    }
    stubs.answers(RESERVATIONS, {"CapacityReservations": [reservation]})
    folder = "/aws/service/eks/optimized-ami/1.36/amazon-linux-2023/x86_64"
    for variant, image in (("standard", "ami-0a1"), ("nvidia", "ami-0b2")):
        name = f"{folder}/{variant}/amazon-eks-node-al2023-x86_64-{variant}-1.36-v20260911"
        there = [
            {"Name": f"{name}/image_id", "Value": image},
            {"Name": f"{name}/release_version", "Value": "1.36.3-20260911"},
        ]
        stubs.answers(PARAMETERS, {"Parameters": there})
    version = {
        "clusterVersion": "1.36",
        "versionStatus": "STANDARD_SUPPORT",
        "endOfStandardSupportDate": datetime(2027, 8, 2, tzinfo=UTC),
    }
    if version_denied:
        stubs.refuses(CLUSTER_VERSIONS, "AccessDeniedException", status=403)
    else:
        stubs.answers(CLUSTER_VERSIONS, {"clusterVersions": [version]})
    for name, addon in cluster.facts.addons.items():
        stubs.answers(
            ADDON_VERSIONS, {"addons": [{"addonName": name, "addonVersions": [{"addonVersion": addon}]}]}
        )
    for _ in TOLD_ADDONS:
        identities = [{"serviceAccount": "its-own"}]
        stubs.answers(
            ADDON_CONFIGURATION, {"configurationSchema": "{}", "podIdentityConfiguration": identities}
        )
    zone = {"Id": "Z0123456789ABCDEFGHIJ", "Name": "example.com.", "CallerReference": "any"}
    stubs.answers(HOSTED_ZONE, {"HostedZone": zone})
    stubs.refuses(BUCKET, "404", status=404)
    stubs.answers(BUCKET, {})
    stubs.answers(BUCKET_VERSIONING, {"Status": "Enabled"})
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}
    stubs.answers(BUCKET_ENCRYPTION, {"ServerSideEncryptionConfiguration": {"Rules": [rule]}})
    keys = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    stubs.answers(BUCKET_PUBLIC_ACCESS, {"PublicAccessBlockConfiguration": dict.fromkeys(keys, True)})
    arn = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    stubs.answers(
        KEY,
        {
            "KeyMetadata": {
                "KeyId": "1234abcd",
                "Arn": arn,
                "KeyState": "Enabled",
                "KeyUsage": "ENCRYPT_DECRYPT",
            }
        },
    )
