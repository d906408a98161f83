"""Secrets: what a stack needs, what External Secrets is told, who may read what. No value of any is in a program's graph."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, cast

import pulumi
import pytest
from pulumi_kubernetes import Provider

from components.aws.secret_readers import read_statements, trust_document
from components.secret_delivery import SecretDelivery, SecretDeliveryArgs, SecretSource
from components.secret_store import AUTHORITY_SECRET, external_secret_spec, store_spec
from ops.recorder import HIDDEN, Recorder
from settings import EksCluster, Settings, load_stack_file
from settings.addons import Addons
from settings.needed_secrets import GRAFANA_SECRET, HARBOR_KEYS, NeededSecret
from settings.observability import Observability
from settings.secrets import AwsSecrets, PulumiSecrets, Secrets, VaultSecrets
from settings.storage import CompatibleBucket
from settings.vault_rules import AUDIENCE, READER, vault_rules

pytestmark = pytest.mark.unit

Deploy = Callable[[Callable[[], object]], Recorder]
STORE: Final = CompatibleBucket(
    kind="compatible",
    name="acme-logs",
    endpoint="https://s3.internal",
    credentials_secret="log-store",  # noqa: S106 - the name of a Secret
)
TOKEN: Final = NeededSecret(
    namespace="llm", name="hub-token", keys=("token",), setting="here", users=frozenset({"models"})
)
VAULT: Final = VaultSecrets(kind="vault", prefix="llm-prod")
ELSEWHERE: Final = VaultSecrets(
    kind="vault",
    prefix="llm-prod",
    address="https://vault.internal:8200",
    authority="-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
)
AWS: Final = AwsSecrets(kind="aws", prefix="llm-prod", refresh_minutes=5)
OBJECT: Final = "kubernetes:core/v1:Secret"
EXTERNAL: Final = "kubernetes:external-secrets.io/v1:ExternalSecret"
STORE_TYPE: Final = "kubernetes:external-secrets.io/v1:SecretStore"


@pytest.fixture(scope="module")
def prod(root: Path) -> Settings:
    return load_stack_file(root / "Pulumi.prod.yaml")


def _record(deploy: Deploy, kept: Secrets, **changes: Any) -> Recorder:  # noqa: ANN401 - of many types
    def program() -> None:
        options = pulumi.ResourceOptions(providers=[Provider("k8s", kubeconfig="{}")])
        args = SecretDeliveryArgs(
            namespace="llm",
            secrets=(TOKEN,),
            kept=kept,
            region="eu-west-1",
            values={"hub-token.token": cast("str", pulumi.Output.secret("planted"))},
        )
        args = replace(args, **changes)
        SecretDelivery("secrets", args, options)

    return deploy(program)


class TestNeeds:
    def test_grafana_s_administrator_comes_from_a_store_where_there_is_one(self, prod: Settings) -> None:
        assert ("monitoring", GRAFANA_SECRET) in {(one.namespace, one.name) for one in prod.needed_secrets}
        by_hand = prod.model_copy(update={"secrets": PulumiSecrets(kind="pulumi")})
        assert GRAFANA_SECRET not in {one.name for one in by_hand.needed_secrets}

    def test_a_store_s_keys_are_read_by_those_who_write_there(self, prod: Settings) -> None:
        changed = prod.model_copy(update={"observability": Observability(store=STORE)})
        found = {one.name: one for one in changed.needed_secrets}
        assert found["log-store"].users == {"loki", "tempo"}
        assert found["log-store"].namespace == "monitoring"

    def test_one_name_for_two_uses_is_one_secret_with_the_keys_of_both(self, prod: Settings) -> None:
        store = STORE.model_copy(update={"credentials_secret": GRAFANA_SECRET})
        changed = prod.model_copy(update={"observability": Observability(store=store)})
        (one,) = changed.needed_secrets
        assert set(one.keys) == {
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "admin-user",
            "admin-password",
        }
        assert one.users == {"loki", "tempo", "prometheus"}

    def test_harbor_needs_all_of_its_keys(self, prod: Settings) -> None:
        changed = prod.model_copy(update={"addons": Addons(harbor="managed")})
        found = {one.name: one for one in changed.needed_secrets}
        assert set(found["harbor-admin"].keys) == set(HARBOR_KEYS)

    def test_the_program_asks_for_a_secret_of_its_own_for_each_key(self, prod: Settings) -> None:
        changed = prod.model_copy(
            update={
                "secrets": PulumiSecrets(kind="pulumi"),
                "observability": Observability(store=STORE),
            }
        )
        assert set(changed.secret_names) == {
            "log-store.AWS_ACCESS_KEY_ID",
            "log-store.AWS_SECRET_ACCESS_KEY",
        }


class TestStore:
    def test_the_program_s_own_vault_is_believed_by_its_authority(self) -> None:
        vault = store_spec(VAULT, namespace="llm", region="eu-west-1")["provider"]["vault"]
        assert vault["server"] == "https://vault-active.vault.svc:8200"
        assert vault["caProvider"] == {"type": "Secret", "name": AUTHORITY_SECRET, "key": "ca.crt"}

    def test_another_one_by_what_the_settings_say(self) -> None:
        vault = store_spec(ELSEWHERE, namespace="llm", region="eu-west-1")["provider"]["vault"]
        assert vault["server"] == "https://vault.internal:8200"
        assert "caProvider" not in vault
        assert vault["caBundle"].startswith("LS0tLS1CRUdJTi")

    def test_it_logs_in_with_an_account_of_the_namespace_for_vault_alone(self) -> None:
        auth = store_spec(VAULT, namespace="llm", region="eu-west-1")["provider"]["vault"]["auth"]
        (rule,) = vault_rules(VAULT, (TOKEN,))
        assert auth["kubernetes"]["role"] == rule.name == "llm-prod-llm"
        assert auth["kubernetes"]["serviceAccountRef"] == {"name": READER, "audiences": [AUDIENCE]}

    @pytest.mark.parametrize("kept", [VAULT, AWS])
    def test_a_secret_has_its_own_keys_and_no_other(self, kept: VaultSecrets | AwsSecrets) -> None:
        spec = external_secret_spec(kept, TOKEN)
        assert spec["refreshInterval"] == {60: "1h0m0s", 5: "5m0s"}[kept.refresh_minutes]
        assert spec["data"] == [
            {"secretKey": "token", "remoteRef": {"key": "llm-prod/llm/hub-token", "property": "token"}}
        ]
        assert spec["target"]["template"]["data"] == {"token": '{{ index . "token" }}'}
        assert "dataFrom" not in spec


class TestRights:
    def test_a_namespace_reads_its_own_secrets_in_vault(self) -> None:
        other = NeededSecret(
            namespace="rag", name="backups", keys=("a",), setting="there", users=frozenset({"database"})
        )
        llm, rag = vault_rules(VAULT, (TOKEN, other))
        assert llm.policy("secret") == (
            'path "secret/data/llm-prod/llm/hub-token" {\n  capabilities = ["read"]\n}\n'
        )
        assert "hub-token" not in rag.policy("secret")
        assert llm.role()["bound_service_account_namespaces"] == ["llm"]
        assert llm.role()["bound_service_account_names"] == [READER]
        assert llm.role()["audience"] == AUDIENCE

    def test_on_aws_one_account_of_one_namespace_takes_on_the_role(self) -> None:
        issuer = "https://oidc.eks.us-east-1.amazonaws.com/id/ABC"
        document = json.loads(trust_document("arn:aws:iam::1:oidc-provider/x", issuer, "llm"))
        (statement,) = document["Statement"]
        assert statement["Action"] == ["sts:AssumeRoleWithWebIdentity"]
        assert statement["Condition"] == {
            "StringEquals": {
                "oidc.eks.us-east-1.amazonaws.com/id/ABC:aud": "sts.amazonaws.com",
                "oidc.eks.us-east-1.amazonaws.com/id/ABC:sub": f"system:serviceaccount:llm:{READER}",
            }
        }

    def test_and_reads_its_own_secrets_by_their_whole_names(self, prod: Settings) -> None:
        cluster = cast("EksCluster", prod.cluster)
        read, decrypt = read_statements(cluster, AWS, (TOKEN,), "llm")
        (place,) = read.resources
        assert place == ("arn:aws:secretsmanager:us-east-1:123456789012:secret:llm-prod/llm/hub-token-??????")
        assert set(read.actions) == {"secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"}
        assert decrypt.conditions["StringLike"] == {"kms:EncryptionContext:SecretARN": [place]}


class TestDelivery:
    def test_of_the_stack_s_own_secrets_the_values_are_hidden(self, deploy: Deploy) -> None:
        recorder = _record(deploy, PulumiSecrets(kind="pulumi"))
        data = recorder.one(OBJECT).inputs["stringData"]
        assert data in (HIDDEN, {"token": HIDDEN})
        assert "planted" not in str(recorder.registrations)

    def test_from_a_store_there_is_no_secret_and_nothing_to_hide(self, deploy: Deploy) -> None:
        recorder = _record(deploy, AWS, role_arn="arn:aws:iam::1:role/r")
        assert recorder.of_type(OBJECT) == []
        account = recorder.one("kubernetes:core/v1:ServiceAccount").inputs
        assert account["metadata"]["annotations"] == {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/r"}
        assert account["automountServiceAccountToken"] is False

    def test_what_reads_a_secret_waits_until_it_is_there(self, deploy: Deploy) -> None:
        recorder = _record(deploy, VAULT)
        external = recorder.one(EXTERNAL)
        assert external.inputs["metadata"]["annotations"] == {"pulumi.com/waitFor": "condition=Ready"}
        assert recorder.one(STORE_TYPE).urn in external.dependencies

    def test_where_nobody_delivers_nobody_waits(self, deploy: Deploy) -> None:
        recorder = _record(deploy, VAULT, awaited=False)
        assert "annotations" not in recorder.one(EXTERNAL).inputs["metadata"]

    def test_secrets_by_hand_are_not_touched(self, prod: Settings, root: Path) -> None:
        dev = load_stack_file(root / "Pulumi.dev.yaml")
        assert SecretSource(settings=dev).of("prometheus") == ()
        used = [one for one in prod.needed_secrets if "prometheus" in one.users]
        assert len(SecretSource(settings=prod).of("prometheus")) == len(used) > 0
