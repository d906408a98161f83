"""Vault: a quorum that unseals itself, TLS from its first moment, and an installation that waits for nobody."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import pulumi
import pytest
from pulumi_kubernetes import Provider
from pulumi_kubernetes.core.v1 import Namespace

from components.addons.vault import (
    AUTHORITY,
    TLS_FOLDER,
    TLS_SECRET,
    VAULT_URL,
    Vault,
    VaultArgs,
    authority_spec,
    certificate_spec,
    server_config,
    vault_values,
)
from components.charts import VAULT
from components.secret_store import authority_request
from ops.recorder import Recorder
from settings.charts import PublishedCharts
from tests.charts import merged, published_values, schema_errors, tolerating, unknown_keys

pytestmark = pytest.mark.unit

Deploy = Callable[[Callable[[], object]], Recorder]
EXCEPTIONS: Final = (
    # templates/_helpers.tpl reads it.
    "fullnameOverride",
    # In a comment of values.yaml.
    "server.readinessProbe.path",
)
CERTIFICATE: Final = "kubernetes:cert-manager.io/v1:Certificate"
ISSUER: Final = "kubernetes:cert-manager.io/v1:Issuer"
CLUSTER_ISSUER: Final = "kubernetes:cert-manager.io/v1:ClusterIssuer"
RELEASE: Final = "kubernetes:helm.sh/v3:Release"


def _values(*, replicas: int = 3, key_alias: str = "llm-vault", monitored: bool = True) -> dict[str, Any]:
    return vault_values(
        replicas=replicas,
        region="eu-west-1",
        key_alias=key_alias,
        storage_class="gp3",
        monitored=monitored,
    )


@pytest.fixture
def server() -> dict[str, Any]:
    return _values()["server"]


def _record(deploy: Deploy, *, replicas: int) -> Recorder:
    def program() -> None:
        options = pulumi.ResourceOptions(providers=[Provider("k8s", kubeconfig="{}")])
        before = Namespace("before", metadata={"name": "before"}, opts=options)
        args = VaultArgs(
            charts=PublishedCharts(kind="published"),
            namespace="vault",
            after=[before],
            replicas=replicas,
            region="eu-west-1",
            key_alias="llm-vault",
        )
        Vault("vault", args, options)

    return deploy(program)


class TestValues:
    def test_every_value_is_one_that_the_chart_reads(self, root: Path) -> None:
        assert unknown_keys(_values(), published_values(root, "vault"), EXCEPTIONS) == []

    # The chart's schema names no draft that there is.
    @pytest.mark.filterwarnings("ignore:The metaschema specified:DeprecationWarning")
    @pytest.mark.parametrize("replicas", [1, 3])
    def test_the_chart_s_schema_takes_them(self, root: Path, replicas: int) -> None:
        assert schema_errors(root, "vault", _values(replicas=replicas)) == []

    def test_secrets_are_delivered_by_somebody_else(self) -> None:
        """The chart takes `-` for "as the rest", which is on."""
        values = _values()
        assert [values[part]["enabled"] for part in ("injector", "csi", "ui")] == [False, False, False]

    def test_the_installation_does_not_wait_for_the_one_who_initializes_it(
        self, server: dict[str, Any]
    ) -> None:
        path: str = server["readinessProbe"]["path"]
        query = parse_qs(urlsplit(path).query)
        assert (query["uninitcode"], query["standbyok"]) == (["204"], ["true"])
        # A sealed replica answers nobody: it must not count as ready.
        assert "sealedcode" not in query

    def test_a_new_version_is_taken_over_by_itself_where_pods_unseal_themselves(
        self, server: dict[str, Any]
    ) -> None:
        assert server["updateStrategyType"] == "RollingUpdate"
        assert _values(key_alias="")["server"]["updateStrategyType"] == "OnDelete"

    def test_a_drain_goes_on_whatever_the_number(self) -> None:
        """For one replica the chart would write a budget of 0."""
        assert _values(replicas=1)["server"]["ha"]["disruptionBudget"]["enabled"] is False
        assert _values(replicas=3)["server"]["ha"]["disruptionBudget"]["maxUnavailable"] == 1

    def test_replicas_lie_on_nodes_and_in_zones_of_their_own(
        self, root: Path, server: dict[str, Any]
    ) -> None:
        assert "kubernetes.io/hostname" in published_values(root, "vault")["server"]["affinity"]
        assert "affinity" not in server
        (spread,) = server["topologySpreadConstraints"]
        assert spread["topologyKey"] == "topology.kubernetes.io/zone"

    @pytest.mark.parametrize("storage", ["dataStorage", "auditStorage"])
    def test_data_and_audit_log_lie_on_volumes(self, server: dict[str, Any], storage: str) -> None:
        assert server[storage]["enabled"] is True
        assert server[storage]["storageClass"] == "gp3"

    def test_without_a_class_the_cluster_s_default_is_taken(self) -> None:
        values = vault_values(replicas=1, region="", key_alias="", storage_class=None, monitored=False)
        assert "storageClass" not in values["server"]["dataStorage"]

    def test_the_container_writes_nowhere_but_where_it_has_to(self, server: dict[str, Any]) -> None:
        container = server["statefulSet"]["securityContext"]["container"]
        assert container["readOnlyRootFilesystem"] is True
        assert container["capabilities"] == {"drop": ["ALL"]}
        assert [mount["mountPath"] for mount in server["volumeMounts"]] == ["/tmp"]  # noqa: S108

    def test_memory_is_limited_and_cpu_is_not(self, server: dict[str, Any]) -> None:
        assert set(server["resources"]["limits"]) == {"memory"}

    @pytest.mark.parametrize("monitored", [True, False])
    def test_its_metrics_are_open_where_somebody_reads_them(self, monitored: bool) -> None:  # noqa: FBT001
        values = _values(monitored=monitored)
        assert values["serverTelemetry"]["serviceMonitor"]["enabled"] is monitored
        expected = f"unauthenticated_metrics_access = {str(monitored).lower()}"
        assert expected in values["server"]["ha"]["raft"]["config"]

    def test_it_stays_off_gpu_nodes(self, root: Path) -> None:
        assert tolerating(merged(_values(), published_values(root, "vault"))) == []


class TestConfiguration:
    def test_it_unseals_with_the_key_by_its_alias(self) -> None:
        config = server_config(replicas=3, region="eu-west-1", key_alias="llm-vault", monitored=True)
        assert 'seal "awskms"' in config
        assert 'region     = "eu-west-1"' in config
        assert 'kms_key_id = "alias/llm-vault"' in config

    def test_without_a_key_there_is_no_seal(self) -> None:
        assert "seal" not in server_config(replicas=3, region="", key_alias="", monitored=True)

    def test_each_replica_is_told_of_all(self) -> None:
        config = server_config(replicas=3, region="", key_alias="", monitored=True)
        joined = [line.split('"')[1] for line in config.splitlines() if "leader_api_addr" in line]
        assert joined == [f"https://vault-{index}.vault-internal:8200" for index in range(3)]

    def test_it_listens_with_tls_alone(self) -> None:
        assert _values()["global"]["tlsDisable"] is False
        config = server_config(replicas=1, region="", key_alias="", monitored=True)
        assert "tls_disable" not in config
        assert f'tls_cert_file   = "{TLS_FOLDER}/tls.crt"' in config

    def test_its_brackets_are_closed(self) -> None:
        config = server_config(replicas=3, region="eu-west-1", key_alias="a", monitored=True)
        assert config.count("{") == config.count("}")

    def test_no_word_is_one_that_the_chart_s_script_replaces(self) -> None:
        config = server_config(replicas=3, region="eu-west-1", key_alias="a", monitored=True)
        replaced = ("HOST_IP", "POD_IP", "HOSTNAME", "API_ADDR", "TRANSIT_ADDR", "RAFT_ADDR")
        assert [word for word in replaced if word in config] == []


class TestCertificate:
    def test_it_names_every_service_and_every_replica(self) -> None:
        names = certificate_spec("vault")["dnsNames"]
        host = urlsplit(VAULT_URL).hostname
        assert {host, "vault", "vault.vault.svc.cluster.local", "*.vault-internal"} <= set(names)
        assert certificate_spec("vault")["ipAddresses"] == ["127.0.0.1"]

    def test_it_is_checked_by_the_name_that_it_has(self) -> None:
        tls = _values()["serverTelemetry"]["serviceMonitor"]["tlsConfig"]
        assert tls["serverName"] in certificate_spec("vault")["dnsNames"]
        assert tls["ca"]["secret"]["name"] == certificate_spec("vault")["secretName"]

    def test_the_authority_keeps_its_key_and_outlives_what_it_signs(self) -> None:
        authority = authority_spec()
        assert (authority["isCA"], authority["privateKey"]["rotationPolicy"]) == (True, "Never")
        # Renewed while there is more than a certificate's life left.
        assert authority["renewBefore"] == certificate_spec("vault")["duration"]

    def test_vault_reads_a_renewed_one(self, server: dict[str, Any]) -> None:
        """It does so on SIGHUP only; the certificate is renewed two months before its end."""
        assert "kill -HUP $(pidof vault)" in server["postStart"][-1]

    def test_the_pods_have_it(self, server: dict[str, Any]) -> None:
        assert server["extraVolumes"] == [{"type": "secret", "name": TLS_SECRET}]
        assert server["extraEnvironmentVars"]["VAULT_CACERT"].startswith(TLS_FOLDER)


class TestComponent:
    def test_the_release_is_pinned_and_waits_for_its_certificate(self, deploy: Deploy) -> None:
        recorder = _record(deploy, replicas=2)
        release = recorder.one(RELEASE)
        (certificate,) = [
            c for c in recorder.of_type(CERTIFICATE) if c.inputs["metadata"]["name"] == TLS_SECRET
        ]
        assert (release.inputs["name"], release.inputs["version"]) == ("vault", VAULT.version)
        assert {certificate.urn, recorder.one("kubernetes:core/v1:Namespace").urn} <= set(
            release.dependencies
        )

    def test_issuers_and_certificates_wait_for_cert_manager(self, deploy: Deploy) -> None:
        recorder = _record(deploy, replicas=2)
        before = recorder.one("kubernetes:core/v1:Namespace").urn
        objects = [o for kind in (CERTIFICATE, ISSUER, CLUSTER_ISSUER) for o in recorder.of_type(kind)]
        assert len(objects) == 4
        assert [o.urn for o in objects if before not in o.dependencies] == []

    def test_the_certificate_is_the_authority_s(self, deploy: Deploy) -> None:
        recorder = _record(deploy, replicas=2)
        (own,), (shared,) = recorder.of_type(ISSUER), recorder.of_type(CLUSTER_ISSUER)
        (authority,) = [c for c in recorder.of_type(CERTIFICATE) if c.inputs["metadata"]["name"] == AUTHORITY]
        assert own.inputs["metadata"]["name"] == authority_spec()["issuerRef"]["name"]
        assert own.inputs["spec"] == {"selfSigned": {}}
        for reference in (certificate_spec("vault")["issuerRef"], authority_request()["issuerRef"]):
            assert reference["kind"] == "ClusterIssuer"
            assert reference["name"] == shared.inputs["metadata"]["name"]
        assert shared.inputs["spec"] == {"ca": {"secretName": AUTHORITY}}
        # Where cert-manager looks for the keys of such issuers.
        places = {o.inputs["metadata"]["namespace"] for o in (own, authority)}
        assert places == {"cert-manager"}

    @pytest.mark.parametrize(("asked", "made"), [(1, 1), (2, 3), (3, 3)])
    def test_more_than_one_is_a_quorum(self, deploy: Deploy, asked: int, made: int) -> None:
        values = _record(deploy, replicas=asked).one(RELEASE).inputs["values"]
        assert values["server"]["ha"]["replicas"] == made
