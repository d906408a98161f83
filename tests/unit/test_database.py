"""The database of retrieval: what its objects say, that the operator's own definitions take them, and what keeps the data."""

from collections.abc import Callable
from typing import Any, Final

import pulumi
import pytest
from pulumi_kubernetes import Provider
from pulumi_kubernetes.core.v1 import Namespace

from components.addons.cloudnative_pg import BACKUP_PLUGIN
from components.database import (
    IMAGE,
    Database,
    DatabaseArgs,
    cluster_spec,
    database_spec,
    schedule_spec,
    store_spec,
)
from ops.recorder import Recorder, Registration
from settings.database import Backups, NoBackups, Postgres
from settings.storage import CompatibleBucket, CreatedBucket, ExistingBucket
from tests.charts import tolerating

pytestmark = pytest.mark.unit

Deploy = Callable[[Callable[[], object]], Recorder]
Object = dict[str, Any]
ZONES: Final = ("eu-west-1a", "eu-west-1b", "eu-west-1c")
S3: Final = Backups(kind="s3", bucket=CreatedBucket(kind="created", name="acme-backups"))
ELSEWHERE: Final = Backups(
    kind="s3",
    bucket=CompatibleBucket(
        kind="compatible",
        name="backups",
        endpoint="https://s3.internal:9000",
        region="here",
        credentials_secret="s3-keys",  # noqa: S106 - the name of a Secret
    ),
    days=7,
)
WITH_COPIES: Final = Postgres(kind="postgres", backups=S3)
ALONE: Final = Postgres(kind="postgres", instances=1, backups=NoBackups(kind="off"))
CLUSTER: Final = "kubernetes:postgresql.cnpg.io/v1:Cluster"
BEFORE: Final = "before"


def _cluster(postgres: Postgres, zones: tuple[str, ...] = ZONES) -> Object:
    return cluster_spec(postgres, storage_class="gp3", zones=zones)


def _record(
    deploy: Deploy, postgres: Postgres, *, protect: bool = True, monitored: bool = True, awaited: bool = False
) -> Recorder:
    def program() -> None:
        options = pulumi.ResourceOptions(providers=[Provider("k8s", kubeconfig="{}")])
        before = Namespace(BEFORE, metadata={"name": BEFORE}, opts=options)
        args = DatabaseArgs(
            postgres=postgres,
            region="eu-west-1",
            storage_class="gp3",
            zones=ZONES,
            after=[before],
            monitored=monitored,
            protect=protect,
            awaited=awaited,
        )
        Database("database", args, options)

    return deploy(program)


def _of_kind(recorder: Recorder, kind: str) -> list[Registration]:
    return [r for r in recorder.registrations if r.inputs.get("kind") == kind]


class TestCluster:
    def test_the_image_is_one_release_with_pgvector_in_it(self) -> None:
        name, _, tag = _cluster(ALONE)["imageName"].rpartition(":")
        assert (name, IMAGE) == ("ghcr.io/cloudnative-pg/postgresql", f"{name}:{tag}")
        # The operator reads the major release from the tag; `minimal` images have no pgvector.
        assert tag.startswith("18.")
        assert "-standard-" in tag

    def test_the_owner_of_the_database_is_no_superuser(self) -> None:
        cluster = _cluster(ALONE)
        assert cluster["enableSuperuserAccess"] is False
        assert cluster["bootstrap"]["initdb"] == {"database": "rag", "owner": "rag", "dataChecksums": True}

    def test_instances_lie_in_zones_of_their_own_where_there_are_enough(self) -> None:
        (spread,) = _cluster(WITH_COPIES)["topologySpreadConstraints"]
        assert spread["topologyKey"] == "topology.kubernetes.io/zone"
        assert spread["whenUnsatisfiable"] == "DoNotSchedule"
        assert spread["labelSelector"]["matchLabels"]["cnpg.io/cluster"] == "rag"
        assert "topologySpreadConstraints" not in _cluster(WITH_COPIES, zones=("eu-west-1a",))

    def test_a_commit_is_on_two_instances_where_there_are_two(self) -> None:
        several = _cluster(WITH_COPIES)["postgresql"]["synchronous"]
        assert several == {"method": "any", "number": 1, "dataDurability": "preferred"}
        # The operator refuses a number that is not below that of the instances.
        assert "synchronous" not in _cluster(ALONE)["postgresql"]

    def test_one_instance_blocks_no_drain(self) -> None:
        assert _cluster(ALONE)["enablePDB"] is False
        assert _cluster(WITH_COPIES)["enablePDB"] is True

    def test_its_volume_is_as_large_and_of_the_class_as_asked_for(self) -> None:
        assert _cluster(ALONE)["storage"] == {"size": "50Gi", "storageClass": "gp3"}
        assert cluster_spec(ALONE, storage_class=None, zones=())["storage"] == {"size": "50Gi"}

    def test_buffers_fit_into_what_is_asked_for(self) -> None:
        """The operator refuses more."""
        cluster = _cluster(ALONE)
        assert cluster["postgresql"]["parameters"]["shared_buffers"] == "512MB"
        assert cluster["resources"]["requests"]["memory"] == cluster["resources"]["limits"]["memory"] == "2Gi"

    def test_it_stays_off_gpu_nodes(self) -> None:
        assert tolerating(_cluster(WITH_COPIES)) == []

    def test_its_log_goes_to_the_store_only_where_there_is_one(self) -> None:
        (plugin,) = _cluster(WITH_COPIES)["plugins"]
        assert (plugin["name"], plugin["isWALArchiver"]) == (BACKUP_PLUGIN, True)
        assert plugin["parameters"] == {"barmanObjectName": "rag"}
        assert "plugins" not in _cluster(ALONE)


class TestCopies:
    def test_on_s3_the_account_s_role_writes(self) -> None:
        configuration = store_spec(S3, region="eu-west-1")["configuration"]
        assert configuration["s3Credentials"] == {"inheritFromIAMRole": True}
        assert configuration["destinationPath"] == "s3://acme-backups/postgres"
        assert "endpointURL" not in configuration

    def test_a_bucket_that_is_there_already_is_used_in_the_same_way(self) -> None:
        existing = Backups(kind="s3", bucket=ExistingBucket(kind="existing", name="acme-backups"))
        assert store_spec(existing, region="eu-west-1") == store_spec(S3, region="eu-west-1")

    def test_elsewhere_the_keys_of_a_secret_do(self) -> None:
        configuration = store_spec(ELSEWHERE, region="eu-west-1")["configuration"]
        assert configuration["endpointURL"] == "https://s3.internal:9000"
        assert configuration["s3Credentials"] == {
            "accessKeyId": {"name": "s3-keys", "key": "AWS_ACCESS_KEY_ID"},
            "secretAccessKey": {"name": "s3-keys", "key": "AWS_SECRET_ACCESS_KEY"},
        }

    @pytest.mark.parametrize(("backups", "region"), [(S3, "eu-west-1"), (ELSEWHERE, "here")])
    def test_the_region_is_the_bucket_s(self, backups: Backups, region: str) -> None:
        sidecar = store_spec(backups, region="eu-west-1")["instanceSidecarConfiguration"]
        told = {variable["name"]: variable["value"] for variable in sidecar["env"]}
        assert (told["AWS_REGION"], told["AWS_DEFAULT_REGION"]) == (region, region)

    def test_they_are_kept_for_as_long_as_asked_for(self) -> None:
        assert store_spec(ELSEWHERE, region="")["retentionPolicy"] == "7d"

    def test_the_first_is_made_at_once_and_the_next_every_night(self) -> None:
        schedule = schedule_spec(WITH_COPIES)
        # Six fields: with five the operator would read the minute as a second.
        assert schedule["schedule"].split() == ["0", "0", "2", "*", "*", "*"]
        assert schedule["immediate"] is True
        assert schedule["method"] == "plugin"
        assert schedule["pluginConfiguration"] == {"name": BACKUP_PLUGIN}

    def test_a_copy_outlives_its_schedule(self) -> None:
        assert schedule_spec(WITH_COPIES)["backupOwnerReference"] == "none"


def test_the_database_has_the_extension_and_stays_when_its_object_goes() -> None:
    database = database_spec(ALONE)
    assert database["extensions"] == [{"name": "vector"}]
    assert database["databaseReclaimPolicy"] == "retain"


class TestComponent:
    def test_everything_that_was_asked_for_is_made(self, deploy: Deploy) -> None:
        kinds = {r.inputs.get("kind") for r in _record(deploy, WITH_COPIES).registrations}
        assert {"Cluster", "Database", "ObjectStore", "ScheduledBackup", "PodMonitor"} <= kinds

    def test_what_was_not_asked_for_is_not(self, deploy: Deploy) -> None:
        recorder = _record(deploy, ALONE, monitored=False)
        kinds = {r.inputs.get("kind") for r in recorder.registrations}
        assert not {"ObjectStore", "ScheduledBackup", "PodMonitor"} & kinds

    def test_the_operator_is_there_first(self, deploy: Deploy) -> None:
        recorder = _record(deploy, ALONE)
        (before,) = [r for r in recorder.of_type("kubernetes:core/v1:Namespace") if r.name == BEFORE]
        assert before.urn in recorder.one(CLUSTER).dependencies

    def test_the_store_is_there_before_the_instances_and_they_before_the_rest(self, deploy: Deploy) -> None:
        recorder = _record(deploy, WITH_COPIES)
        cluster = recorder.one(CLUSTER)
        (store,) = _of_kind(recorder, "ObjectStore")
        assert store.urn in cluster.dependencies
        for kind in ("Database", "ScheduledBackup"):
            (found,) = _of_kind(recorder, kind)
            assert cluster.urn in found.dependencies

    def test_pods_below_restricted_are_refused_in_its_namespace(self, deploy: Deploy) -> None:
        recorder = _record(deploy, ALONE)
        (own,) = [r for r in recorder.of_type("kubernetes:core/v1:Namespace") if r.name != BEFORE]
        metadata = own.inputs["metadata"]
        assert metadata["name"] == "rag"
        assert metadata["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"

    def test_who_uses_it_is_told_where_it_is_and_where_its_password_lies(self, deploy: Deploy) -> None:
        recorder = _record(deploy, ALONE)
        (component,) = recorder.of_type("vllm-platform:data:Database")
        assert set(recorder.outputs[component.urn]) == {"host", "credentials"}

    @pytest.mark.parametrize("awaited", [True, False])
    def test_it_is_waited_for_where_an_operator_runs(self, deploy: Deploy, awaited: bool) -> None:  # noqa: FBT001
        metadata = _record(deploy, ALONE, awaited=awaited).one(CLUSTER).inputs["metadata"]
        expected = {"pulumi.com/waitFor": "condition=Ready"} if awaited else None
        assert metadata.get("annotations") == expected

    @pytest.mark.parametrize("protect", [True, False])
    def test_only_what_holds_data_is_protected(
        self,
        deploy: Deploy,
        monkeypatch: pytest.MonkeyPatch,
        protect: bool,  # noqa: FBT001
    ) -> None:
        """The record has no such field: the option is read where the request is made."""
        protected: list[str] = []
        register = Recorder.RegisterResource

        def watched(recorder: Recorder, request: Any) -> Any:  # noqa: ANN401 - as in the recorder
            if request.protect:
                protected.append(request.type)
            return register(recorder, request)

        monkeypatch.setattr(Recorder, "RegisterResource", watched)
        _record(deploy, WITH_COPIES, protect=protect)
        assert sorted(protected) == (["kubernetes:core/v1:Namespace", CLUSTER] if protect else [])
