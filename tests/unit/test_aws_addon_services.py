"""What add-ons may do on AWS: each its own bucket or key, each under the account that its own chart gives its pods."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, cast

import pulumi
import pytest
from pulumi_aws import Provider as AwsProvider
from pulumi_kubernetes import Provider as KubernetesProvider

from components.addons.platform import install_platform
from components.addons.surroundings import Surroundings
from components.aws.addon_services import addon_services
from components.aws.audit_trail import AGENT
from components.data import create_database
from components.secret_delivery import SecretSource
from ops.recorder import UNKNOWN, Recorder, Registration, record
from settings import EksCluster, Settings, load_stack_file
from settings.addons import Addons
from settings.audit import NoAudit
from settings.database import NoDatabase
from settings.needed_secrets import DATABASE
from settings.observability import Observability
from settings.secrets import AwsSecrets, ManualSecrets
from settings.storage import CreatedBucket, ExistingBucket
from tests.contract.addon_factories import POSTGRES
from tests.dependencies import before

pytestmark = pytest.mark.unit

Deploy = Callable[[Callable[[], object]], Recorder]
KEY: Final = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"
STORE: Final = CreatedBucket(kind="created", name="acme-llm-telemetry")
ROLE: Final = "aws:iam/role:Role"
ROLE_POLICY: Final = "aws:iam/rolePolicy:RolePolicy"
ASSOCIATION: Final = "aws:eks/podIdentityAssociation:PodIdentityAssociation"
BUCKET: Final = "aws:s3/bucket:Bucket"
RELEASE: Final = "kubernetes:helm.sh/v3:Release"
STORAGE_CLASS: Final = "kubernetes:storage.k8s.io/v1:StorageClass"
ALIASES: Final = "kms:ResourceAliases"


@pytest.fixture(scope="module")
def stack(root: Path) -> Settings:
    """A stack in which every add-on that needs something of AWS is there."""
    prod = load_stack_file(root / "Pulumi.prod.yaml")
    changes = {
        "addons": Addons(vault="managed"),
        "observability": Observability(store=STORE),
        "database": POSTGRES,
        "secrets": ManualSecrets(kind="manual"),
    }
    return prod.model_copy(update=changes)


def _declare(settings: Settings) -> Surroundings:
    """Declare what add-ons need of AWS and, on it, the add-ons and the database."""
    kubernetes = KubernetesProvider("k8s", kubeconfig="{}")
    on_both = pulumi.ResourceOptions(providers=[AwsProvider("aws", region="us-east-1"), kubernetes])
    # Of the cluster only this is read.
    base: Any = SimpleNamespace(
        cluster=settings.cluster,
        control_plane=SimpleNamespace(cluster_name="llm-prod", issuer="https://oidc.invalid/id/A"),
        data_key=SimpleNamespace(arn=KEY),
    )
    around = addon_services(settings, base, [], on_both)
    on_cluster = pulumi.ResourceOptions(providers=[kubernetes])
    secrets = SecretSource(settings=settings, roles=around.secret_roles)
    addons = install_platform(settings, around, secrets, on_cluster)
    create_database(settings, around, addons, secrets, on_cluster)
    return around


@pytest.fixture(scope="module")
def recorder(stack: Settings) -> Recorder:
    """The whole of it, recorded once: nothing here changes it."""
    found = record(lambda: _declare(stack), project="test-project", stack="test-stack")
    assert found.duplicates() == []
    return found


def _unit_of(recorder: Recorder, registration: Registration) -> str:
    """Return the name of the workload whose role a resource is part of."""
    (parent,) = [other for other in recorder.registrations if other.urn == registration.parent]
    return parent.name.removesuffix("-access")


def _statements(recorder: Recorder) -> dict[str, list[dict[str, Any]]]:
    return {
        _unit_of(recorder, policy): json.loads(policy.inputs["policy"])["Statement"]
        for policy in recorder.of_type(ROLE_POLICY)
    }


def _all(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _release(recorder: Recorder, name: str) -> Registration:
    (found,) = [release for release in recorder.of_type(RELEASE) if release.inputs["name"] == name]
    return found


def _database(recorder: Recorder) -> Registration:
    return recorder.one("kubernetes:postgresql.cnpg.io/v1:Cluster")


class TestRights:
    def test_every_action_is_named_and_every_resource_is_somebody_s(
        self, recorder: Recorder, stack: Settings
    ) -> None:
        account = cast("EksCluster", stack.cluster).account
        by_unit = _statements(recorder)
        assert set(by_unit) == {"loki", "tempo", "vault", AGENT, DATABASE}
        for statement in (each for statements in by_unit.values() for each in statements):
            assert statement["Effect"] == "Allow"
            assert [action for action in _all(statement["Action"]) if "*" in action] == []
            for resource in _all(statement["Resource"]):
                _, _, service, _, owner, what = resource.split(":", 5)
                # IAM knows no key by its alias: all of the account's, and of these the one that has it.
                narrow = service == "s3" or (owner, what) == (account, "key/*")
                assert narrow, resource

    def test_a_key_is_used_by_its_alias_alone(self, recorder: Recorder) -> None:
        keys = {
            (unit, alias)
            for unit, statements in _statements(recorder).items()
            for statement in statements
            if any(action.startswith("kms:") for action in _all(statement["Action"]))
            for alias in _all(statement["Condition"]["ForAnyValue:StringEquals"][ALIASES])
        }
        assert keys == {
            ("loki", "alias/llm-prod-data"),
            ("tempo", "alias/llm-prod-data"),
            (DATABASE, "alias/llm-prod-data"),
            ("vault", "alias/llm-prod-vault"),
            (AGENT, "alias/llm-prod-audit"),
        }

    def test_the_key_of_a_bucket_is_used_through_s3_only(self, recorder: Recorder) -> None:
        through = [
            statement["Condition"]["StringEquals"]
            for unit, statements in _statements(recorder).items()
            for statement in statements
            if unit != "vault" and statement["Sid"] == "UseItsKey"
        ]
        assert through == [{"kms:ViaService": "s3.us-east-1.amazonaws.com"}] * 4

    def test_each_reaches_its_own_bucket_and_no_other(self, recorder: Recorder) -> None:
        buckets = {
            unit: {
                resource.split(":")[-1].partition("/")[0]
                for statement in statements
                for resource in _all(statement["Resource"])
                if ":s3:" in resource
            }
            for unit, statements in _statements(recorder).items()
        }
        assert buckets == {
            "loki": {"acme-llm-telemetry"},
            "tempo": {"acme-llm-telemetry"},
            DATABASE: {"acme-llm-backups"},
            AGENT: {"acme-llm-prod-audit"},
            "vault": set(),
        }

    def test_vault_s_key_is_the_one_that_its_configuration_names(self, recorder: Recorder) -> None:
        (alias,) = [
            alias
            for alias in recorder.of_type("aws:kms/alias:Alias")
            if alias.inputs["name"] == "alias/llm-prod-vault"
        ]
        values = _release(recorder, "vault").inputs["values"]
        config = values["server"]["ha"]["raft"]["config"]
        assert f'kms_key_id = "{alias.inputs["name"]}"' in config


class TestAccounts:
    def test_each_role_is_of_one_account(self, recorder: Recorder) -> None:
        associations = [_unit_of(recorder, each) for each in recorder.of_type(ASSOCIATION)]
        roles = [_unit_of(recorder, each) for each in recorder.of_type(ROLE)]
        assert sorted(associations) == sorted(roles) == sorted(set(roles))
        names = [role.inputs["name"] for role in recorder.of_type(ROLE)]
        assert sorted(names) == [f"llm-prod-{unit}" for unit in sorted(roles)]

    def test_it_is_the_account_that_the_chart_gives_the_pods(self, recorder: Recorder) -> None:
        given = {
            _unit_of(recorder, each): (each.inputs["namespace"], each.inputs["serviceAccount"])
            for each in recorder.of_type(ASSOCIATION)
        }
        expected: dict[str, tuple[str, str]] = {}
        for unit in ("loki", "tempo", "vault", AGENT):
            inputs = _release(recorder, unit).inputs
            account = inputs["values"].get("serviceAccount") or inputs["values"]["server"]["serviceAccount"]
            assert account["create"] is True
            expected[unit] = (inputs["namespace"], account["name"])
        # The operator names the account like the cluster.
        metadata = _database(recorder).inputs["metadata"]
        expected[DATABASE] = (metadata["namespace"], metadata["name"])
        assert given == expected

    def test_pods_start_after_they_have_their_rights(self, recorder: Recorder) -> None:
        """Those that start before get no credentials, and none later."""
        associations = {_unit_of(recorder, each): each.urn for each in recorder.of_type(ASSOCIATION)}
        users = {unit: _release(recorder, unit) for unit in ("loki", "tempo", "vault", AGENT)}
        for unit, user in {**users, DATABASE: _database(recorder)}.items():
            assert associations[unit] in before(recorder, user.urn), unit


class TestBuckets:
    def test_each_is_closed_encrypted_and_of_tls_only(self, recorder: Recorder) -> None:
        buckets = {bucket.parent: bucket.inputs["bucket"] for bucket in recorder.of_type(BUCKET)}
        assert sorted(buckets.values()) == ["acme-llm-backups", "acme-llm-telemetry"]
        kinds = {
            "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
            "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
            "aws:s3/bucketPolicy:BucketPolicy",
            "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        }
        for parent in buckets:
            inside = {each.type: each.inputs for each in recorder.registrations if each.parent == parent}
            assert kinds <= set(inside)
            blocked = inside["aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"]
            assert sorted(name for name, value in blocked.items() if value is True) == [
                "blockPublicAcls",
                "blockPublicPolicy",
                "ignorePublicAcls",
                "restrictPublicBuckets",
            ]
            assert KEY in json.dumps(
                inside[
                    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
                ]
            )

    def test_one_that_is_there_is_not_made_and_its_key_is_somebody_else_s(
        self, deploy: Deploy, stack: Settings
    ) -> None:
        there = Observability(store=ExistingBucket(kind="existing", name="their-telemetry"))
        changed = stack.model_copy(
            update={
                "observability": there,
                "database": NoDatabase(kind="off"),
                "addons": Addons(),
                "audit": NoAudit(kind="off"),
            }
        )
        recorder = deploy(lambda: _declare(changed))
        assert recorder.of_type(BUCKET) == []
        by_unit = _statements(recorder)
        assert set(by_unit) == {"loki", "tempo"}
        actions = {a for each in by_unit.values() for one in each for a in _all(one["Action"])}
        assert {action for action in actions if not action.startswith("s3:")} == set()


class TestSecrets:
    def test_a_namespace_that_needs_one_gets_a_role_and_its_account_is_told_of_it(
        self, deploy: Deploy, stack: Settings
    ) -> None:
        kept = AwsSecrets(kind="aws", prefix="llm-prod")
        recorder = deploy(lambda: _declare(stack.model_copy(update={"secrets": kept})))
        (role,) = [r for r in recorder.of_type(ROLE) if "-secrets-" in r.inputs["name"]]
        assert role.inputs["name"] == "llm-prod-secrets-monitoring"
        (account,) = recorder.of_type("kubernetes:core/v1:ServiceAccount")
        assert role.urn in before(recorder, account.urn)
        assert account.inputs["metadata"]["annotations"] == {"eks.amazonaws.com/role-arn": UNKNOWN}


class TestNothingElse:
    def test_a_stack_that_asks_for_nothing_gets_nothing(self, deploy: Deploy, stack: Settings) -> None:
        words = dict.fromkeys(Addons.model_fields, "off")
        changes = {
            "addons": Addons.model_validate(words),
            # A bucket that the stack names is its own, whoever writes to it.
            "observability": Observability(),
            "database": NoDatabase(kind="off"),
        }
        bare = stack.model_copy(update=changes)
        recorder = deploy(lambda: _declare(bare))
        assert [r.urn for r in recorder.registrations if r.type.startswith("aws:")] == []
        assert recorder.of_type(STORAGE_CLASS) == []

    @pytest.mark.parametrize(("own", "made"), [(None, 1), ("fast", 0)])
    def test_a_class_of_volumes_is_made_where_the_stack_has_none(
        self, deploy: Deploy, stack: Settings, own: str | None, made: int
    ) -> None:
        storage = stack.storage.model_copy(update={"volume_class": own})
        recorder = deploy(lambda: _declare(stack.model_copy(update={"storage": storage})))
        assert len(recorder.of_type(STORAGE_CLASS)) == made
