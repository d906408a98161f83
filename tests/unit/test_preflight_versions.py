"""Node images, Kubernetes versions and add-ons: what moto does not know, answered in botocore's own shapes."""

from datetime import UTC, datetime
from typing import Any

import pytest

from ops.preflight_checks.calls import ADDON_VERSIONS, CLUSTER_VERSIONS, PARAMETERS
from ops.preflight_checks.eks import addons, kubernetes
from ops.preflight_checks.images import images, parameters
from settings import Settings
from settings.storage import NoShare
from tests.unit.preflight_stubs import Stubs, findings_of, only_pools, prod, target_of, with_pool

pytestmark = pytest.mark.unit

NVIDIA = (
    "/aws/service/eks/optimized-ami/1.36/amazon-linux-2023/x86_64/nvidia/"
    "amazon-eks-node-al2023-x86_64-nvidia-1.36-v20260911"
)


@pytest.fixture
def stubs() -> Stubs:
    """AWS as a test says that it is."""
    return Stubs()


def published(stubs: Stubs, **values: str) -> None:
    """Publish an image: `image_id` and `release_version`, in the folder of the NVIDIA image."""
    names = [f"{NVIDIA}/image_id", f"{NVIDIA}/release_version"]
    lacking = [name for name in names if name.rpartition("/")[2] not in values]
    there = [{"Name": f"{NVIDIA}/{key}", "Value": value} for key, value in values.items()]
    answer = {"Parameters": there, **({"InvalidParameters": lacking} if lacking else {})}
    stubs.answers(PARAMETERS, answer, {"Names": names})


class TestImages:
    @pytest.fixture
    def a10(self) -> Settings:
        return only_pools(prod(), "a10")

    def test_one_that_is_published_is_ok(self, a10: Settings, stubs: Stubs) -> None:
        published(stubs, image_id="ami-1", release_version="1.36.3-20260911")
        (found,) = findings_of(images, a10, stubs).values()
        assert (found.status, found.found) == ("ok", "ami-1, AMI release 1.36.3-20260911")

    def test_one_without_a_release_version_is_ok(self, a10: Settings, stubs: Stubs) -> None:
        published(stubs, image_id="ami-1")
        (found,) = findings_of(images, a10, stubs).values()
        assert (found.status, found.found) == ("ok", "ami-1")

    def test_one_that_is_not_published_is_missing(self, a10: Settings, stubs: Stubs) -> None:
        published(stubs)
        (found,) = findings_of(images, a10, stubs).values()
        assert (found.status, found.fix) == (
            "missing",
            "write a release that is in cluster.node_images.al2023",
        )
        assert f"{NVIDIA}/image_id" in found.found

    def test_one_of_another_kubelet_is_missing(self, a10: Settings, stubs: Stubs) -> None:
        published(stubs, image_id="ami-1", release_version="1.36.4-20260911")
        (found,) = findings_of(images, a10, stubs).values()
        assert found.status == "missing"
        assert "1.36.4-20260911" in found.found

    def test_one_that_may_not_be_asked_is_unknown(self, a10: Settings, stubs: Stubs) -> None:
        stubs.refuses(PARAMETERS, "AccessDeniedException")
        (found,) = findings_of(images, a10, stubs).values()
        assert (found.status, found.fix) == ("unknown", "allow ssm:GetParameters to the caller")

    def test_each_image_in_use_is_asked_once(self, stubs: Stubs) -> None:
        settings = with_pool(prod(), "a100", node_image="bottlerocket")
        for _ in range(3):
            stubs.answers(PARAMETERS, {"Parameters": []})
        assert list(findings_of(images, settings, stubs)) == [
            "al2023 for CPU nodes",
            "al2023 for GPU nodes",
            "bottlerocket for GPU nodes",
        ]

    def test_bottlerocket_is_named_by_its_version(self) -> None:
        cluster = target_of(prod()).cluster
        assert parameters(cluster, "bottlerocket", gpu=True) == (
            "/aws/service/bottlerocket/aws-k8s-1.36-nvidia/x86_64/1.66.0/image_id",
            None,
        )
        assert "/aws-k8s-1.36/x86_64/" in parameters(cluster, "bottlerocket", gpu=False)[0]


class TestKubernetes:
    def offered(self, stubs: Stubs, *versions: dict[str, Any]) -> None:
        stubs.answers(CLUSTER_VERSIONS, {"clusterVersions": list(versions)}, {"clusterVersions": ["1.36"]})

    def test_a_version_in_standard_support_is_ok(self, stubs: Stubs) -> None:
        end = datetime(2027, 8, 2, tzinfo=UTC)
        self.offered(
            stubs,
            {"clusterVersion": "1.36", "versionStatus": "STANDARD_SUPPORT", "endOfStandardSupportDate": end},
        )
        (found,) = findings_of(kubernetes, prod(), stubs).values()
        assert (found.status, found.found) == ("ok", "STANDARD_SUPPORT until 2027-08-02")

    def test_a_version_in_extended_support_is_missing(self, stubs: Stubs) -> None:
        self.offered(stubs, {"clusterVersion": "1.36", "versionStatus": "EXTENDED_SUPPORT"})
        (found,) = findings_of(kubernetes, prod(), stubs).values()
        assert (found.status, found.found) == ("missing", "EXTENDED_SUPPORT")

    def test_a_version_that_is_not_offered_is_missing(self, stubs: Stubs) -> None:
        self.offered(stubs)
        (found,) = findings_of(kubernetes, prod(), stubs).values()
        assert (found.status, found.found) == ("missing", "EKS does not offer 1.36 in us-east-1")

    def test_a_version_that_eks_does_not_know_is_missing(self, stubs: Stubs) -> None:
        stubs.refuses(CLUSTER_VERSIONS, "InvalidParameterException")
        (found,) = findings_of(kubernetes, prod(), stubs).values()
        assert found.status == "missing"

    def test_a_region_whose_api_is_older_leaves_it_unknown(self, stubs: Stubs) -> None:
        stubs.refuses(CLUSTER_VERSIONS, "404", status=404)
        (found,) = findings_of(kubernetes, prod(), stubs).values()
        assert found.status == "unknown"


class TestAddons:
    def offer(self, stubs: Stubs, settings: Settings, **other: str) -> None:
        cluster = target_of(settings).cluster
        for name in cluster.facts.addons:
            version = other.get(name.replace("-", "_"), cluster.addon_version(name))
            versions = [{"addonVersion": version}, {"addonVersion": "v0.0.1-eksbuild.1"}]
            stubs.answers(
                ADDON_VERSIONS,
                {"addons": [{"addonName": name, "addonVersions": versions}]},
                {"kubernetesVersion": "1.36", "addonName": name},
            )

    def test_versions_that_are_offered_are_ok(self, stubs: Stubs) -> None:
        self.offer(stubs, prod())
        found = findings_of(addons, prod(), stubs)
        assert len(found) == 7
        assert {one.status for one in found.values()} == {"ok"}

    def test_a_version_that_is_not_offered_is_missing_and_the_newest_is_named(self, stubs: Stubs) -> None:
        self.offer(stubs, prod(), coredns="v9.9.9-eksbuild.9")
        found = findings_of(addons, prod(), stubs)
        assert {name for name, one in found.items() if one.status == "missing"} == {"coredns"}
        assert found["coredns"].found == "not offered: the newest is v9.9.9-eksbuild.9"
        assert found["coredns"].fix == "write another one in cluster.addon_versions.coredns"

    def test_an_add_on_that_eks_does_not_know_is_missing(self, stubs: Stubs) -> None:
        cluster = target_of(prod()).cluster
        for _ in cluster.facts.addons:
            stubs.refuses(ADDON_VERSIONS, "ResourceNotFoundException", status=404)
        assert {one.status for one in findings_of(addons, prod(), stubs).values()} == {"missing"}

    def test_the_file_system_s_driver_is_asked_only_where_it_is_installed(self, stubs: Stubs) -> None:
        settings = prod()
        storage = settings.storage.model_copy(update={"shared": NoShare(kind="off")})
        cluster = target_of(settings).cluster
        for _ in range(len(cluster.facts.addons) - 1):
            stubs.answers(ADDON_VERSIONS, {"addons": []})
        found = findings_of(addons, settings.model_copy(update={"storage": storage}), stubs)
        assert "aws-efs-csi-driver" not in found
