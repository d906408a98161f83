"""The claim of the shared directory, its volume, and the engine's way to a bucket of another store."""

from collections.abc import Callable
from pathlib import Path

import pulumi
import pytest
from pulumi_kubernetes import Provider

from components.engine_files import engine_environment
from components.inference_service import Serving, spec
from components.shared_claim import SharedClaim, SharedClaimArgs
from ops.recorder import Recorder, Registration
from settings import Model, Settings, load_stack_file
from settings.storage import CompatibleBucket, EfsShare, NfsShare
from settings.weights import StreamedWeights

pytestmark = pytest.mark.unit

Deploy = Callable[[Callable[[], object]], Recorder]
NFS = NfsShare(kind="nfs", claim="weights", size="500Gi", server="nfs.internal", path="/models")
EFS = EfsShare(kind="efs")
HANDLE = "fs-0123456789abcdef0::fsap-0123456789abcdef0"
STORE = CompatibleBucket(
    kind="compatible",
    name="llm-models",
    endpoint="https://s3.internal:9000",
    region="home",
    credentials_secret="s3-keys",  # noqa: S106 - the name of a Secret
)


def _objects(deploy: Deploy, *shares: SharedClaimArgs) -> list[Registration]:
    def program() -> None:
        options = pulumi.ResourceOptions(providers=[Provider("k8s", kubeconfig="{}")])
        for index, args in enumerate(shares):
            SharedClaim(f"shared-{index}", args, options)

    recorder = deploy(program)
    return [r for r in recorder.registrations if r.custom and r.type.startswith("kubernetes:")]


def _one(objects: list[Registration], kind: str) -> Registration:
    (found,) = [each for each in objects if each.type.endswith(f":{kind}")]
    return found


class TestSharedClaim:
    def test_claim_and_volume_name_each_other(self, deploy: Deploy) -> None:
        objects = _objects(deploy, SharedClaimArgs(namespace="llm", share=NFS))
        claim, volume = _one(objects, "PersistentVolumeClaim"), _one(objects, "PersistentVolume")
        assert claim.inputs["metadata"] == {"name": "weights", "namespace": "llm"}
        assert claim.inputs["spec"]["volumeName"] == volume.inputs["metadata"]["name"]
        assert volume.inputs["spec"]["claimRef"] == {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "name": "weights",
            "namespace": "llm",
        }

    def test_they_agree_on_what_the_controller_compares(self, deploy: Deploy) -> None:
        objects = _objects(deploy, SharedClaimArgs(namespace="llm", share=NFS))
        claim = _one(objects, "PersistentVolumeClaim").inputs["spec"]
        volume = _one(objects, "PersistentVolume").inputs["spec"]
        assert claim["resources"]["requests"]["storage"] == volume["capacity"]["storage"] == "500Gi"
        assert claim["accessModes"] == volume["accessModes"] == ["ReadWriteMany"]
        assert claim["volumeMode"] == volume["volumeMode"]
        named = _one(objects, "StorageClass").inputs["metadata"]["name"]
        assert claim["storageClassName"] == volume["storageClassName"] == named

    def test_the_claim_waits_for_its_volume(self, deploy: Deploy) -> None:
        objects = _objects(deploy, SharedClaimArgs(namespace="llm", share=NFS))
        assert _one(objects, "PersistentVolume").urn in _one(objects, "PersistentVolumeClaim").dependencies

    def test_two_claims_never_share_a_volume_s_name(self, deploy: Deploy) -> None:
        """Volumes belong to no namespace: joined by a dash, these two would be one."""
        objects = _objects(
            deploy,
            SharedClaimArgs(namespace="a-b", share=NFS.model_copy(update={"claim": "c"})),
            SharedClaimArgs(namespace="a", share=NFS.model_copy(update={"claim": "b-c"})),
        )
        for kind in ("PersistentVolume", "StorageClass"):
            names = [each.inputs["metadata"]["name"] for each in objects if each.type.endswith(f":{kind}")]
            assert len(set(names)) == len(names) == 2

    def test_files_outlive_the_claim(self, deploy: Deploy) -> None:
        objects = _objects(deploy, SharedClaimArgs(namespace="llm", share=NFS))
        assert _one(objects, "PersistentVolume").inputs["spec"]["persistentVolumeReclaimPolicy"] == "Retain"
        assert _one(objects, "StorageClass").inputs["reclaimPolicy"] == "Retain"

    def test_no_controller_makes_volumes_of_this_class(self, deploy: Deploy) -> None:
        objects = _objects(deploy, SharedClaimArgs(namespace="llm", share=EFS, volume_handle=HANDLE))
        assert _one(objects, "StorageClass").inputs["provisioner"] == "kubernetes.io/no-provisioner"

    def test_efs_is_mounted_by_its_driver(self, deploy: Deploy) -> None:
        objects = _objects(deploy, SharedClaimArgs(namespace="llm", share=EFS, volume_handle=HANDLE))
        volume = _one(objects, "PersistentVolume").inputs["spec"]
        assert volume["csi"] == {"driver": "efs.csi.aws.com", "volumeHandle": HANDLE}
        assert "nfs" not in volume

    def test_an_nfs_server_is_mounted_by_the_kubelet(self, deploy: Deploy) -> None:
        objects = _objects(deploy, SharedClaimArgs(namespace="llm", share=NFS))
        volume = _one(objects, "PersistentVolume").inputs["spec"]
        assert volume["nfs"] == {"server": "nfs.internal", "path": "/models"}
        assert "hard" in volume["mountOptions"]
        assert "csi" not in volume

    def test_efs_without_a_file_system_is_refused(self) -> None:
        with pytest.raises(ValueError, match=r"claim pvc-nfs-models: .* needs the handle of its file system"):
            SharedClaimArgs(namespace="llm", share=EFS)


class TestCompatibleStore:
    @pytest.fixture
    def settings(self, root: Path) -> Settings:
        return load_stack_file(root / "Pulumi.prod.yaml")

    @pytest.fixture
    def streamed(self, settings: Settings) -> Model:
        (found,) = [model for model in settings.models if isinstance(model.weights, StreamedWeights)]
        return found

    def test_the_engine_knows_where_it_is(self, streamed: Model) -> None:
        variables = {v["name"]: v.get("value") for v in engine_environment(streamed, "us-east-1", STORE)}
        assert variables["AWS_ENDPOINT_URL"] == "https://s3.internal:9000"
        assert variables["AWS_REGION"] == "home"
        assert variables["RUNAI_STREAMER_S3_USE_VIRTUAL_ADDRESSING"] == "0"
        assert variables["AWS_EC2_METADATA_DISABLED"] == "true"

    def test_keys_come_from_the_secret_and_are_written_nowhere(self, streamed: Model) -> None:
        keys = [v for v in engine_environment(streamed, "us-east-1", STORE) if "valueFrom" in v]
        assert keys == [
            {"name": name, "valueFrom": {"secretKeyRef": {"name": "s3-keys", "key": name}}}
            for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        ]

    def test_a_model_that_streams_nothing_gets_none_of_it(self, settings: Settings, streamed: Model) -> None:
        others = [model for model in settings.models if model is not streamed]
        assert others
        for model in others:
            assert engine_environment(model, "us-east-1", STORE) == engine_environment(model, "us-east-1")

    def test_amazon_s3_needs_neither_address_nor_keys(self, streamed: Model) -> None:
        variables = engine_environment(streamed, "us-east-1")
        assert {"name": "AWS_REGION", "value": "us-east-1"} in variables
        assert not [v for v in variables if v["name"].startswith("AWS_") and v["name"] != "AWS_REGION"]

    def test_it_reaches_the_container(self, settings: Settings, streamed: Model) -> None:
        serving = Serving(
            model=streamed,
            pool=settings.pool_of(streamed),
            zones=settings.cluster.zones,
            region="us-east-1",
            image="image",
            store=STORE,
        )
        predictor = spec(serving, service_account="account", priority_class="priority")["predictor"]
        names = [v["name"] for v in predictor["containers"][0]["env"]]
        assert {"AWS_ENDPOINT_URL", "AWS_SECRET_ACCESS_KEY"} <= set(names)
        assert len(names) == len(set(names))
