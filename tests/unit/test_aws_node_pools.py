"""Managed node groups: what they are made of, and that a pool gets the nodes that its settings say."""

import base64
import tomllib
from collections.abc import Callable, Mapping
from email import message_from_string
from typing import Any, Final, cast

import pulumi
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pulumi_aws import Provider

from components.aws.managed_pool import (
    NAME_MAX,
    SUFFIX,
    TAINT_EFFECTS,
    ManagedPool,
    group_plans,
    name_prefix,
)
from components.aws.node_role import NodeRole, NodeRoleArgs
from components.aws.node_user_data import bottlerocket_settings, class_user_data, group_user_data
from ops.recorder import Recorder
from settings import Settings, load_stack_file
from settings.facts import instances
from settings.node_hardware import HARDWARE, dealt_out, disks, fast_pull
from settings.pools import (
    CapacityBlock,
    ClusterGroupPlacement,
    CpuPool,
    GpuPool,
    ManagedProvisioner,
    Pool,
    ReservedCapacity,
    SpreadPlacement,
)
from tests.contract.pool_factories import SECURITY_GROUP, TAGS, managed_args

pytestmark = pytest.mark.unit

Deploy = Callable[[Callable[[], object]], Recorder]
GROUP: Final = "aws:eks/nodeGroup:NodeGroup"
TEMPLATE: Final = "aws:ec2/launchTemplate:LaunchTemplate"
RESERVATION: Final = "cr-0123456789abcdef0"
ZONES: Final = ("us-east-1a", "us-east-1b", "us-east-1c")


@pytest.fixture(scope="module")
def settings(root: Any) -> Settings:  # noqa: ANN401
    return load_stack_file(root / "Pulumi.prod.yaml")


@pytest.fixture(scope="module")
def cpu(settings: Settings) -> CpuPool:
    return next(pool for pool in settings.pools if isinstance(pool, CpuPool))


@pytest.fixture(scope="module")
def gpu(settings: Settings) -> GpuPool:
    """A pool of g5.2xlarge, fixed at three nodes."""
    pool = next(pool for pool in settings.gpu_pools if pool.name == "a10")
    return _changed(pool, provisioner=ManagedProvisioner(kind="managed"), min=3, max=3)


def _changed(pool: GpuPool, **changes: Any) -> GpuPool:  # noqa: ANN401
    return pool.model_copy(update=changes)


def _deploy(deploy: Deploy, settings: Settings, pool: Pool) -> Recorder:
    args = managed_args(settings, pool)
    options: dict[str, Any] = {"region": "us-east-1"}

    def program() -> None:
        provider = Provider("aws", **options)
        ManagedPool(f"pool-{pool.name}", args, pulumi.ResourceOptions(providers=[provider]))

    return deploy(program)


def _document(pool: Pool) -> dict[str, Any]:
    """The NodeConfig in the user data of a pool's launch template."""
    text = base64.b64decode(group_user_data(pool) or "").decode()
    (part,) = cast("list[Any]", message_from_string(text).get_payload())
    assert part.get_content_type() == "application/node.eks.aws"
    return yaml.safe_load(part.get_payload())


class TestUserData:
    def test_local_disks_become_one_and_images_are_fetched_in_parallel(self, gpu: GpuPool) -> None:
        assert _document(gpu) == {
            "apiVersion": "node.eks.aws/v1alpha1",
            "kind": "NodeConfig",
            "spec": {
                "instance": {"localStorage": {"strategy": "RAID0"}},
                "featureGates": {"FastImagePull": True},
            },
        }

    def test_where_there_is_nothing_to_say_there_is_none(self, cpu: CpuPool, gpu: GpuPool) -> None:
        for pool in (cpu, _changed(gpu, instance_type="p3.2xlarge")):
            rocket = pool.model_copy(update={"node_image": "bottlerocket"})
            assert [group_user_data(pool), class_user_data(pool)] == [None, None]
            assert [group_user_data(rocket), class_user_data(rocket)] == [None, None]

    def test_bottlerocket_says_the_same_in_its_own_words(self, gpu: GpuPool) -> None:
        pool = _changed(gpu, node_image="bottlerocket")
        text = base64.b64decode(group_user_data(pool) or "").decode()
        assert tomllib.loads(text)["settings"] == {
            "bootstrap-commands": {
                "000-instance-store": {
                    "commands": [
                        ["apiclient", "ephemeral-storage", "init"],
                        ["apiclient", "ephemeral-storage", "bind"],
                    ],
                    "essential": True,
                    "mode": "always",
                }
            },
            "container-runtime": {"snapshotter": "soci"},
            "container-runtime-plugins": {"soci-snapshotter": {"pull-mode": "parallel-pull-unpack"}},
        }

    def test_karpenter_is_told_of_disks_by_its_own_field(self, gpu: GpuPool) -> None:
        """Twice would be an error of Bottlerocket: the disks are in use by then."""
        assert yaml.safe_load(class_user_data(gpu) or "")["spec"] == {"featureGates": {"FastImagePull": True}}
        assert "ephemeral-storage" not in bottlerocket_settings(gpu, with_disks=False)


class TestHardware:
    def test_every_instance_type_with_facts_is_known(self) -> None:
        assert set(HARDWARE) == set(instances())

    def test_an_engine_s_image_fits_on_the_disk(self, gpu: GpuPool, cpu: CpuPool) -> None:
        """Two versions of 25 GB each, and what the node itself needs."""
        for name in HARDWARE:
            pool = _changed(gpu, instance_type=name) if instances()[name].gpu else cpu
            assert max(disk.gib for disk in disks(pool).values()) >= 100

    @pytest.mark.parametrize("name", HARDWARE)
    def test_images_are_fetched_in_parallel_only_where_the_disk_keeps_up(
        self, gpu: GpuPool, name: str
    ) -> None:
        pool = _changed(gpu, instance_type=name)
        fast_disk = HARDWARE[name].instance_store or all(d.throughput >= 600 for d in disks(pool).values())
        assert fast_disk or not fast_pull(pool)

    def test_a_throughput_is_one_that_gp3_sells_with_these_operations(self, gpu: GpuPool) -> None:
        """At most a quarter of a MiB/s for each operation a second, 1000 MiB/s and 16,000 operations."""
        for name in HARDWARE:
            for image in ("al2023", "bottlerocket"):
                for disk in disks(_changed(gpu, instance_type=name, node_image=image)).values():
                    assert 125 <= disk.throughput <= min(1000, disk.iops / 4)
                    assert 3000 <= disk.iops <= 16_000

    def test_all_disks_of_bottlerocket_are_named(self, gpu: GpuPool) -> None:
        """One that is not would be as in the image: unencrypted, or 20 GiB."""
        assert set(disks(_changed(gpu, node_image="bottlerocket"))) == {"/dev/xvda", "/dev/xvdb"}


class TestLaunchTemplate:
    def test_disks_are_encrypted_and_go_with_the_node(
        self, deploy: Deploy, settings: Settings, gpu: GpuPool
    ) -> None:
        for image in ("al2023", "bottlerocket"):
            recorder = _deploy(deploy, settings, _changed(gpu, node_image=image))
            for mapping in recorder.one(TEMPLATE).inputs["blockDeviceMappings"]:
                assert mapping["ebs"]["encrypted"] == mapping["ebs"]["deleteOnTermination"] == "true"
                assert mapping["ebs"]["volumeType"] == "gp3"

    def test_pods_can_not_ask_for_the_node_s_rights(
        self, deploy: Deploy, settings: Settings, gpu: GpuPool
    ) -> None:
        options = _deploy(deploy, settings, gpu).one(TEMPLATE).inputs["metadataOptions"]
        assert (options["httpTokens"], options["httpPutResponseHopLimit"]) == ("required", 1)

    def test_what_ec2_makes_carries_the_stack_s_tags(
        self, deploy: Deploy, settings: Settings, gpu: GpuPool
    ) -> None:
        specifications = _deploy(deploy, settings, gpu).one(TEMPLATE).inputs["tagSpecifications"]
        tags = {"Name": "llm-prod-a10", **TAGS}
        kinds = ("instance", "volume", "network-interface")
        assert {s["resourceType"]: s["tags"] for s in specifications} == dict.fromkeys(kinds, tags)

    def test_a_reservation_is_named(self, deploy: Deploy, settings: Settings, gpu: GpuPool) -> None:
        capacity = ReservedCapacity(kind="reserved", reservation=RESERVATION)
        recorder = _deploy(deploy, settings, _changed(gpu, capacity=capacity, zones=ZONES[:1]))
        template, group = recorder.one(TEMPLATE).inputs, recorder.one(GROUP).inputs
        target = template["capacityReservationSpecification"]["capacityReservationTarget"]
        assert target == {"capacityReservationId": RESERVATION}
        assert "instanceMarketOptions" not in template
        assert (group["capacityType"], group["instanceTypes"]) == ("ON_DEMAND", ["g5.2xlarge"])

    def test_a_capacity_block_has_its_type_in_the_template_alone(
        self, deploy: Deploy, settings: Settings, gpu: GpuPool
    ) -> None:
        capacity = CapacityBlock(kind="capacity-block", reservation=RESERVATION)
        recorder = _deploy(deploy, settings, _changed(gpu, capacity=capacity, zones=ZONES[:1]))
        template, group = recorder.one(TEMPLATE).inputs, recorder.one(GROUP).inputs
        assert template["instanceMarketOptions"] == {"marketType": "capacity-block"}
        assert template["instanceType"] == "g5.2xlarge"
        target = template["capacityReservationSpecification"]["capacityReservationTarget"]
        assert target == {"capacityReservationId": RESERVATION}
        assert group["capacityType"] == "CAPACITY_BLOCK"
        assert "instanceTypes" not in group

    @pytest.mark.parametrize(("name", "cards"), [("p4d.24xlarge", 4), ("p5.48xlarge", 32)])
    def test_nodes_that_stand_together_have_efa_on_every_card(
        self, deploy: Deploy, settings: Settings, gpu: GpuPool, name: str, cards: int
    ) -> None:
        placement = ClusterGroupPlacement(kind="cluster-group")
        pool = _changed(gpu, instance_type=name, placement=placement, zones=ZONES[:1])
        recorder = _deploy(deploy, settings, pool)
        template = recorder.one(TEMPLATE).inputs
        interfaces = template["networkInterfaces"]
        assert [i["networkCardIndex"] for i in interfaces] == list(range(cards))
        assert [(i["deviceIndex"], i["interfaceType"]) for i in interfaces] == [
            (0, "efa"),
            *[(1, "efa-only")] * (cards - 1),
        ]
        assert {tuple(i["securityGroups"]) for i in interfaces} == {(SECURITY_GROUP,)}
        assert "vpcSecurityGroupIds" not in template
        group = recorder.one("aws:ec2/placementGroup:PlacementGroup").inputs
        assert group["strategy"] == "cluster"
        assert template["placement"]["groupName"] == group["name"]

    def test_other_nodes_have_the_usual_interface(
        self, deploy: Deploy, settings: Settings, gpu: GpuPool
    ) -> None:
        recorder = _deploy(deploy, settings, _changed(gpu, instance_type="p4d.24xlarge"))
        template = recorder.one(TEMPLATE).inputs
        assert not {"networkInterfaces", "placement"} & set(template)
        assert template["vpcSecurityGroupIds"] == [SECURITY_GROUP]
        assert recorder.of_type("aws:ec2/placementGroup:PlacementGroup") == []


class TestNodeGroup:
    def test_labels_and_taints_are_the_pool_s(self, deploy: Deploy, settings: Settings, gpu: GpuPool) -> None:
        group = _deploy(deploy, settings, gpu).one(GROUP).inputs
        assert group["labels"] == gpu.node_labels
        assert gpu.node_selector.items() <= group["labels"].items()
        assert group["taints"] == [{"key": "dedicated", "value": "gpu", "effect": "NO_SCHEDULE"}]

    @pytest.mark.parametrize(
        ("image", "of_gpu", "of_cpu"),
        [
            ("al2023", "AL2023_x86_64_NVIDIA", "AL2023_x86_64_STANDARD"),
            ("bottlerocket", "BOTTLEROCKET_x86_64_NVIDIA", "BOTTLEROCKET_x86_64"),
        ],
    )
    def test_the_image_brings_what_the_pool_needs(
        self,
        deploy: Deploy,
        settings: Settings,
        *,
        gpu: GpuPool,
        cpu: CpuPool,
        image: str,
        of_gpu: str,
        of_cpu: str,
    ) -> None:
        for pool, expected in ((gpu, of_gpu), (cpu, of_cpu)):
            group = _deploy(deploy, settings, pool.model_copy(update={"node_image": image})).one(GROUP).inputs
            assert group["amiType"] == expected
            # Bottlerocket's releases have a commit at their end that nobody here knows.
            release = "1.36.3-20260911" if image == "al2023" else None
            assert (group["version"], group.get("releaseVersion")) == ("1.36", release)

    def test_it_follows_its_launch_template_by_a_version_s_number(
        self, deploy: Deploy, settings: Settings, gpu: GpuPool
    ) -> None:
        recorder = _deploy(deploy, settings, gpu)
        group = recorder.one(GROUP)
        assert recorder.one(TEMPLATE).urn in group.dependencies
        assert not str(group.inputs["launchTemplate"]["version"]).startswith("$")
        assert not {"diskSize", "remoteAccess"} & set(group.inputs)

    def test_a_broken_node_is_replaced_and_updates_take_one_at_a_time(
        self, deploy: Deploy, settings: Settings, gpu: GpuPool
    ) -> None:
        group = _deploy(deploy, settings, gpu).one(GROUP).inputs
        assert group["nodeRepairConfig"] == {"enabled": True}
        assert group["updateConfig"] == {"maxUnavailable": 1}

    def test_a_new_group_can_come_up_beside_the_old_one(
        self, deploy: Deploy, settings: Settings, gpu: GpuPool
    ) -> None:
        """A fixed name would make EKS refuse the second one, or Pulumi delete the first one first."""
        group = _deploy(deploy, settings, gpu).one(GROUP).inputs
        assert "nodeGroupName" not in group
        assert group["nodeGroupNamePrefix"] == "a10-"

    def test_a_pool_without_nodes_is_a_group_that_eks_takes(
        self, deploy: Deploy, settings: Settings, gpu: GpuPool
    ) -> None:
        for placement in (None, SpreadPlacement(kind="spread")):
            pool = _changed(gpu, min=0, max=0, placement=placement)
            sizes = _deploy(deploy, settings, pool).one(GROUP).inputs["scalingConfig"]
            assert sizes == {"minSize": 0, "desiredSize": 0, "maxSize": 1}

    def test_a_pool_that_is_spread_has_a_group_in_each_zone(
        self, deploy: Deploy, settings: Settings, gpu: GpuPool
    ) -> None:
        recorder = _deploy(deploy, settings, _changed(gpu, placement=SpreadPlacement(kind="spread")))
        groups = [
            (g.inputs["scalingConfig"]["desiredSize"], g.inputs["subnetIds"]) for g in recorder.of_type(GROUP)
        ]
        assert [size for size, _ in groups] == [2, 1]
        assert [len(subnets) for _, subnets in groups] == [1, 1]
        assert groups[0][1] != groups[1][1]


_counts = st.integers(0, 60)
_zones = st.lists(st.sampled_from(ZONES), min_size=1, max_size=3, unique=True).map(tuple)


@given(count=_counts, zones=_zones)
def test_nodes_are_dealt_out_evenly_the_larger_shares_first(count: int, zones: tuple[str, ...]) -> None:
    shares = list(dealt_out(count, zones).values())
    assert sum(shares) == count
    assert max(shares) - min(shares) <= 1
    assert shares == sorted(shares, reverse=True)


@given(count=_counts, zones=_zones, spread=st.booleans())
def test_the_groups_of_a_pool_have_its_nodes_in_its_zones(
    gpu: GpuPool, count: int, zones: tuple[str, ...], *, spread: bool
) -> None:
    placement = SpreadPlacement(kind="spread") if spread else None
    plans = group_plans(_changed(gpu, min=count, max=count, placement=placement), zones)
    assert sum(plan.size for plan in plans) == count
    assert {zone for plan in plans for zone in plan.zones} <= set(zones)
    assert len({plan.label for plan in plans}) == len(plans)
    assert all(plan.size > 0 for plan in plans) or len(plans) == 1


@given(name=st.text("abc", min_size=1, max_size=30), zone=st.sampled_from([*ZONES, "ap-southeast-1-mnl-1a"]))
def test_a_group_s_name_fits_with_what_the_provider_appends(gpu: GpuPool, name: str, zone: str) -> None:
    pool = _changed(gpu, name=name, min=2, max=2, placement=SpreadPlacement(kind="spread"))
    (plan,) = group_plans(pool, (zone,))
    assert len(name_prefix(pool, plan)) + SUFFIX <= NAME_MAX


def test_every_effect_of_a_taint_has_a_word_of_eks() -> None:
    assert set(TAINT_EFFECTS) == {"NoSchedule", "PreferNoSchedule", "NoExecute"}


@pytest.mark.parametrize(
    ("partition", "service"), [("aws", "ec2.amazonaws.com"), ("aws-cn", "ec2.amazonaws.com.cn")]
)
def test_nodes_may_join_and_pull_and_nothing_else(deploy: Deploy, partition: str, service: str) -> None:
    options: Mapping[str, Any] = {"region": "us-east-1"}

    def program() -> None:
        args = NodeRoleArgs(role_name="llm-node", partition=partition)
        NodeRole("role", args, pulumi.ResourceOptions(providers=[Provider("aws", **options)]))

    recorder = deploy(program)
    attached = recorder.of_type("aws:iam/rolePolicyAttachment:RolePolicyAttachment")
    assert {a.inputs["policyArn"] for a in attached} == {
        f"arn:{partition}:iam::aws:policy/AmazonEKSWorkerNodePolicy",
        f"arn:{partition}:iam::aws:policy/AmazonEC2ContainerRegistryPullOnly",
    }
    assert recorder.of_type("aws:iam/rolePolicy:RolePolicy") == []
    assert f'"{service}"' in recorder.one("aws:iam/role:Role").inputs["assumeRolePolicy"]
