"""Pools of Karpenter's: which nodes it may make, how many, and when it may end one."""

from collections.abc import Callable
from typing import Any, Final, cast

import pulumi
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pulumi_aws import Provider as AwsProvider
from pulumi_kubernetes import Provider as KubernetesProvider

from components.aws.karpenter_pool import KarpenterPool, node_pools
from components.aws.launch_template import block_devices
from components.aws.managed_pool import TAINT_EFFECTS, group_plans
from components.aws.node_class import image_alias, node_class_spec
from components.inference_service import DO_NOT_DISRUPT, Serving, spec
from components.placement import placement
from ops.recorder import Recorder
from settings import Settings, load_stack_file
from settings.cluster import EksCluster
from settings.pools import (
    Capacity,
    CapacityBlock,
    ClusterGroupPlacement,
    GpuPool,
    KarpenterProvisioner,
    ManagedProvisioner,
    OnDemandCapacity,
    Pool,
    Provisioner,
    ReservedCapacity,
    SpotCapacity,
)
from tests.contract.generated_stacks import stacks
from tests.contract.pool_factories import SECURITY_GROUP, TAGS, karpenter_args

pytestmark = pytest.mark.unit

Deploy = Callable[[Callable[[], object]], Recorder]
RESERVATION: Final = "cr-0123456789abcdef0"
ZONES: Final = ("us-east-1a", "us-east-1b", "us-east-1c")
CAPACITY: Final = "karpenter.sh/capacity-type"


@pytest.fixture(scope="module")
def settings(root: Any) -> Settings:  # noqa: ANN401
    return load_stack_file(root / "Pulumi.prod.yaml")


@pytest.fixture(scope="module")
def cluster(settings: Settings) -> EksCluster:
    return cast("EksCluster", settings.cluster)


@pytest.fixture(scope="module")
def a10(settings: Settings) -> GpuPool:
    """g5.2xlarge, 3 to 21 nodes."""
    return next(pool for pool in settings.gpu_pools if pool.name == "a10")


def _changed(pool: GpuPool, **changes: Any) -> GpuPool:  # noqa: ANN401
    return pool.model_copy(update=changes)


def _class_of(pool: Pool, cluster: EksCluster, *, group: str | None = None) -> dict[str, Any]:
    return node_class_spec(
        pool,
        cluster,
        subnets=["subnet-1", "subnet-2"],
        security_group=SECURITY_GROUP,
        role_name="node",
        tags=TAGS,
        placement_group=group,
    )


def _requirements(node_pool: Any) -> dict[str, list[str]]:  # noqa: ANN401 - a NodePool's spec
    found = node_pool["template"]["spec"]["requirements"]
    assert {each["operator"] for each in found} == {"In"}
    return {each["key"]: each["values"] for each in found}


def _most(pool: Pool, zones: tuple[str, ...]) -> int:
    """The largest number of nodes that all NodePools of a pool come to, but for one that is being replaced."""
    specs = [plan.spec for plan in node_pools(pool, zones, core=False)]
    return sum(each.get("replicas", int(each["limits"]["nodes"])) for each in specs)


class TestNodeClass:
    def test_disks_are_those_of_a_managed_node(self, cluster: EksCluster, a10: GpuPool) -> None:
        for image in ("al2023", "bottlerocket"):
            pool = _changed(a10, node_image=image)
            mine = {m["deviceName"]: m["ebs"] for m in _class_of(pool, cluster)["blockDeviceMappings"]}
            managed = {m.get("device_name"): cast("Any", m.get("ebs")) for m in block_devices(pool)}
            assert set(mine) == set(managed)
            for device, disk in mine.items():
                theirs = managed[device]
                assert disk["volumeSize"] == f"{theirs['volume_size']}Gi"
                assert (disk["throughput"], disk["iops"]) == (theirs["throughput"], theirs["iops"])
                assert disk["encrypted"] is True

    def test_images_are_pinned(self, cluster: EksCluster, a10: GpuPool) -> None:
        assert image_alias(a10, cluster) == "al2023@v20260911"
        assert image_alias(_changed(a10, node_image="bottlerocket"), cluster) == "bottlerocket@v1.66.0"

    def test_local_disks_are_used_where_there_are_some(self, cluster: EksCluster, a10: GpuPool) -> None:
        assert _class_of(a10, cluster)["instanceStorePolicy"] == "RAID0"
        assert "instanceStorePolicy" not in _class_of(_changed(a10, instance_type="p3.2xlarge"), cluster)

    def test_pods_can_not_ask_for_the_node_s_rights(self, cluster: EksCluster, a10: GpuPool) -> None:
        options = _class_of(a10, cluster)["metadataOptions"]
        assert (options["httpTokens"], options["httpPutResponseHopLimit"]) == ("required", 1)

    def test_subnets_and_group_are_named_by_id(self, cluster: EksCluster, a10: GpuPool) -> None:
        made = _class_of(a10, cluster)
        assert made["subnetSelectorTerms"] == [{"id": "subnet-1"}, {"id": "subnet-2"}]
        assert made["securityGroupSelectorTerms"] == [{"id": SECURITY_GROUP}]

    def test_what_it_makes_carries_the_stack_s_tags(self, cluster: EksCluster, a10: GpuPool) -> None:
        assert _class_of(a10, cluster)["tags"] == {"Name": "llm-prod-a10", **TAGS}

    def test_a_reservation_is_named(self, cluster: EksCluster, a10: GpuPool) -> None:
        for capacity in (
            ReservedCapacity(kind="reserved", reservation=RESERVATION),
            CapacityBlock(kind="capacity-block", reservation=RESERVATION),
        ):
            made = _class_of(_changed(a10, capacity=capacity), cluster)
            assert made["capacityReservationSelectorTerms"] == [{"id": RESERVATION}]
        assert "capacityReservationSelectorTerms" not in _class_of(a10, cluster)

    def test_nodes_that_stand_together_have_efa_on_every_card(
        self, cluster: EksCluster, a10: GpuPool
    ) -> None:
        pool = _changed(
            a10, instance_type="p4d.24xlarge", placement=ClusterGroupPlacement(kind="cluster-group")
        )
        made = _class_of(pool, cluster, group="group")
        assert made["placementGroupSelector"] == {"name": "group"}
        first, *efa = made["networkInterfaces"]
        assert (first["networkCardIndex"], first["deviceIndex"], first["interfaceType"]) == (
            0,
            0,
            "interface",
        )
        assert [(i["networkCardIndex"], i["interfaceType"]) for i in efa] == [
            (card, "efa-only") for card in range(4)
        ]


class TestNodePool:
    @pytest.mark.parametrize(
        ("capacity", "types"),
        [
            (OnDemandCapacity(kind="on-demand"), ["on-demand"]),
            (SpotCapacity(kind="spot"), ["spot"]),
            (ReservedCapacity(kind="reserved", reservation=RESERVATION), ["reserved", "on-demand"]),
            (CapacityBlock(kind="capacity-block", reservation=RESERVATION), ["reserved"]),
        ],
        ids=lambda value: getattr(value, "kind", ""),
    )
    def test_capacity_is_bought_as_the_settings_say(
        self, a10: GpuPool, capacity: Capacity, types: list[str]
    ) -> None:
        for plan in node_pools(_changed(a10, capacity=capacity), ZONES[:1], core=False):
            assert _requirements(plan.spec)[CAPACITY] == types

    def test_nodes_are_of_the_pool_s_type_in_its_zones(self, a10: GpuPool) -> None:
        plans = node_pools(a10, ZONES[:2], core=False)
        for plan in plans:
            required = _requirements(plan.spec)
            assert required["node.kubernetes.io/instance-type"] == ["g5.2xlarge"]
            assert set(required["topology.kubernetes.io/zone"]) <= set(ZONES[:2])
        assert _requirements(plans[-1].spec)["topology.kubernetes.io/zone"] == list(ZONES[:2])

    def test_the_minimum_stands_in_every_zone_whatever_the_pods_do(self, a10: GpuPool) -> None:
        base = [plan for plan in node_pools(a10, ZONES[:2], core=True) if "replicas" in plan.spec]
        assert [(plan.name, plan.spec["replicas"]) for plan in base] == [
            ("a10.us-east-1a-base", 2),
            ("a10.us-east-1b-base", 1),
        ]
        # One more while one of its own is replaced.
        assert [plan.spec["limits"] for plan in base] == [{"nodes": "3"}, {"nodes": "2"}]

    def test_a_pool_that_is_full_by_its_minimum_makes_no_others(self, a10: GpuPool) -> None:
        plans = node_pools(_changed(a10, min=4, max=4), ZONES[:2], core=False)
        assert [plan.spec.get("replicas") for plan in plans] == [2, 2]

    def test_a_pool_that_may_have_no_node_says_so_to_the_pods_that_ask(self, a10: GpuPool) -> None:
        (plan,) = node_pools(_changed(a10, min=0, max=0), ZONES[:2], core=False)
        assert (plan.name, plan.spec["limits"]) == ("a10", {"nodes": "0"})
        assert "replicas" not in plan.spec

    def test_a_node_with_a_core_model_is_not_ended_by_choice(self, a10: GpuPool) -> None:
        for plan in node_pools(a10, ZONES[:2], core=True):
            node, disruption = plan.spec["template"]["spec"], plan.spec["disruption"]
            assert disruption["consolidationPolicy"] == "WhenEmpty"
            assert node["expireAfter"] == "Never"
            # With it, Karpenter would delete pods that may not be disturbed when the time is over.
            assert "terminationGracePeriod" not in node

    def test_other_nodes_are_renewed_and_packed_and_end_in_time(self, a10: GpuPool) -> None:
        for plan in node_pools(a10, ZONES[:2], core=False):
            node, disruption = plan.spec["template"]["spec"], plan.spec["disruption"]
            assert disruption["consolidationPolicy"] == "WhenEmptyOrUnderutilized"
            assert (node["expireAfter"], node["terminationGracePeriod"]) == ("720h", "1h")

    @pytest.mark.parametrize("core", [False, True])
    def test_nodes_with_pods_go_one_at_a_time(self, a10: GpuPool, core: bool) -> None:  # noqa: FBT001
        for plan in node_pools(a10, ZONES[:2], core=core):
            budgets = plan.spec["disruption"]["budgets"]
            assert {"nodes": "1", "reasons": ["Drifted", "Underutilized"]} in budgets
            assert all(budget["reasons"] == ["Empty"] for budget in budgets if budget["nodes"] != "1")


class TestComponent:
    @pytest.fixture
    def recorder(self, deploy: Deploy, settings: Settings, a10: GpuPool) -> Recorder:
        return self._deploy(deploy, settings, a10)

    def _deploy(self, deploy: Deploy, settings: Settings, pool: GpuPool) -> Recorder:
        args = karpenter_args(settings, pool, core=True)

        def program() -> None:
            options = pulumi.ResourceOptions(
                providers=[AwsProvider("aws", region="us-east-1"), KubernetesProvider("k8s", kubeconfig="{}")]
            )
            KarpenterPool(f"pool-{pool.name}", args, options)

        return deploy(program)

    def test_pools_come_after_the_class_that_they_name(self, recorder: Recorder) -> None:
        (node_class,) = recorder.of_type("kubernetes:karpenter.k8s.aws/v1:EC2NodeClass")
        pools = recorder.of_type("kubernetes:karpenter.sh/v1:NodePool")
        assert len(pools) == 3
        for pool in pools:
            assert node_class.urn in pool.dependencies
            reference = pool.inputs["spec"]["template"]["spec"]["nodeClassRef"]
            assert reference == {
                "group": "karpenter.k8s.aws",
                "kind": "EC2NodeClass",
                "name": node_class.inputs["metadata"]["name"],
            }

    def test_all_are_waited_for(self, recorder: Recorder) -> None:
        objects = [r for r in recorder.registrations if r.inputs.get("kind") in {"EC2NodeClass", "NodePool"}]
        waits = [r.inputs["metadata"]["annotations"]["pulumi.com/waitFor"] for r in objects]
        assert waits == ["condition=Ready"] * 4
        assert {r.timeouts["create"] for r in objects} == {"5m"}

    def test_no_name_is_one_that_another_pool_could_have(self, recorder: Recorder) -> None:
        names = [
            r.inputs["metadata"]["name"] for r in recorder.of_type("kubernetes:karpenter.sh/v1:NodePool")
        ]
        assert [name for name in names if "." not in name] == ["a10"]

    def test_nodes_that_stand_together_have_a_group_of_their_own(
        self, deploy: Deploy, settings: Settings, a10: GpuPool
    ) -> None:
        """Not the managed pool's: while one becomes the other, both are there."""
        pool = _changed(a10, placement=ClusterGroupPlacement(kind="cluster-group"), zones=ZONES[:1])
        recorder = self._deploy(deploy, settings, pool)
        group = recorder.one("aws:ec2/placementGroup:PlacementGroup")
        node_class = recorder.one("kubernetes:karpenter.k8s.aws/v1:EC2NodeClass")
        assert node_class.inputs["spec"]["placementGroupSelector"] == {"name": "llm-prod-a10-elastic"}
        assert group.inputs["name"] == "llm-prod-a10-elastic"


class TestPods:
    @pytest.mark.parametrize(
        "kind", [KarpenterProvisioner(kind="karpenter"), ManagedProvisioner(kind="managed")]
    )
    @pytest.mark.parametrize("tier", ["core", "best-effort"])
    def test_karpenter_leaves_core_models_alone(
        self, settings: Settings, tier: str, kind: Provisioner
    ) -> None:
        """Whoever makes the nodes today: a pool may change its provisioner without a restart of its models."""
        model = settings.models[0].model_copy(update={"tier": tier})
        pool = settings.pool_of(settings.models[0]).model_copy(update={"provisioner": kind})
        serving = Serving(model=model, pool=pool, zones=ZONES[:2], region="us-east-1", image="image")
        predictor = spec(serving, service_account="account", priority_class="priority")["predictor"]
        expected = {DO_NOT_DISRUPT: "true"} if tier == "core" else {}
        assert predictor.get("annotations", {}) == expected


@given(low=st.integers(0, 40), more=st.integers(0, 40), zones=st.integers(1, 3))
def test_a_pool_never_has_more_nodes_than_its_max(a10: GpuPool, low: int, more: int, zones: int) -> None:
    pool = _changed(a10, min=low, max=low + more)
    plans = node_pools(pool, ZONES[:zones], core=False)
    assert _most(pool, ZONES[:zones]) == pool.max
    assert sum(plan.spec.get("replicas", 0) for plan in plans) == pool.min
    assert len({plan.name for plan in plans}) == len(plans)


@given(stack=stacks())
@hypothesis_settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_models_find_and_tolerate_the_nodes_of_their_pool_whoever_makes_them(stack: Settings) -> None:
    core = {stack.pool_of(model).name for model in stack.enabled_models if model.tier == "core"}
    for pool in stack.pools:
        zones = stack.zones_of(pool)
        if isinstance(pool.provisioner, ManagedProvisioner):
            assert sum(plan.size for plan in group_plans(pool, zones)) == pool.max
            assert all(taint["effect"] in TAINT_EFFECTS for taint in pool.node_taints)
        for plan in node_pools(pool, zones, core=pool.name in core):
            template = plan.spec["template"]
            assert template["metadata"]["labels"] == pool.node_labels
            assert template["spec"].get("taints", []) == pool.node_taints
            assert pool.node_selector.items() <= template["metadata"]["labels"].items()
            capacity = _requirements(plan.spec)[CAPACITY]
            assert not ("spot" in capacity and pool.name in core)
            if "reserved" in capacity:
                assert len(_requirements(plan.spec)["topology.kubernetes.io/zone"]) == 1
    for model in stack.enabled_models:
        pool = stack.pool_of(model)
        pod = placement(model, pool, stack.zones_of(pool))
        tolerated = [{**taint, "operator": "Equal"} for taint in pool.node_taints]
        assert pod["nodeSelector"].items() <= pool.node_labels.items()
        assert all(taint in pod["tolerations"] for taint in tolerated)
