"""The way in: one door, TLS on every part of the way, nothing cached, nothing held back, rights for one target group."""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pulumi
import pytest
import yaml
from pulumi_aws import Provider as AwsProvider
from pulumi_kubernetes import Provider as KubernetesProvider

from components.aws.edge import Edge
from components.aws.edge_certificates import EdgeCertificates, EdgeCertificatesArgs
from components.aws.load_balancer_controller import (
    LoadBalancerController,
    controller_values,
    target_statements,
)
from components.charts import LOAD_BALANCER_CONTROLLER
from ops.recorder import Recorder, Registration
from settings import Settings, load_stack_file
from tests.contract.edge_factories import FACTORIES

if TYPE_CHECKING:
    from settings.cluster import EksCluster

pytestmark = pytest.mark.unit

Deploy = Callable[[Callable[[], object]], Recorder]
CACHING_DISABLED = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
ALL_VIEWER = "216adef6-5c7f-47e4-b989-5492eafa07d3"
BALANCER = "aws:lb/loadBalancer:LoadBalancer"
DISTRIBUTION = "aws:cloudfront/distribution:Distribution"
INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
EGRESS = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"


@pytest.fixture(scope="module")
def settings(root: Path) -> Settings:
    return load_stack_file(root / "Pulumi.prod.yaml")


@pytest.fixture
def edge(deploy: Deploy, settings: Settings) -> Recorder:
    def program() -> None:
        Edge("edge", FACTORIES[Edge](settings), pulumi.ResourceOptions(providers=_providers()))

    return deploy(program)


def _providers() -> list[pulumi.ProviderResource]:
    return [AwsProvider("aws", region="us-east-1"), KubernetesProvider("k8s", kubeconfig="{}")]


def _named(recorder: Recorder, type_: str, ending: str) -> Registration:
    (found,) = [each for each in recorder.of_type(type_) if each.name.endswith(ending)]
    return found


class TestCertificates:
    def _regions(self, deploy: Deploy, region: str) -> tuple[Recorder, set[str]]:
        args = EdgeCertificatesArgs(domain="llm.example.com", hosted_zone="Z0123456789", region=region)
        recorder = deploy(
            lambda: EdgeCertificates(
                "thing", args, pulumi.ResourceOptions(providers=[AwsProvider("aws", region=region)])
            )
        )
        return recorder, {r.inputs["region"] for r in recorder.of_type("aws:acm/certificate:Certificate")}

    def test_cloudfront_and_the_load_balancer_have_one_each(self, deploy: Deploy) -> None:
        recorder, regions = self._regions(deploy, "eu-west-1")
        assert regions == {"us-east-1", "eu-west-1"}
        issued = recorder.of_type("aws:acm/certificateValidation:CertificateValidation")
        assert {each.inputs["region"] for each in issued} == regions

    def test_in_the_region_of_both_there_is_one(self, deploy: Deploy) -> None:
        _, regions = self._regions(deploy, "us-east-1")
        assert regions == {"us-east-1"}

    def test_one_record_proves_the_domain_for_both(self, deploy: Deploy) -> None:
        recorder, _ = self._regions(deploy, "eu-west-1")
        proof = recorder.one("aws:route53/record:Record")
        issued = recorder.of_type("aws:acm/certificateValidation:CertificateValidation")
        assert len(issued) == 2
        assert all(proof.urn in each.dependencies for each in issued)


class TestLoadBalancer:
    def test_it_has_no_address_on_the_internet(self, edge: Recorder) -> None:
        balancer = edge.one(BALANCER).inputs
        assert balancer["internal"] is True
        assert balancer["subnets"] == ["subnet-0", "subnet-1"]

    def test_only_cloudfront_reaches_it(self, edge: Recorder) -> None:
        rule = _named(edge, INGRESS, "-from-cloudfront").inputs
        assert (rule["fromPort"], rule["toPort"]) == (443, 443)
        assert rule["prefixListId"] == "[known after deployment]"
        assert not {"cidrIpv4", "cidrIpv6", "referencedSecurityGroupId"} & set(rule)

    def test_it_reaches_the_gateway_s_port_on_the_nodes_and_nothing_else(self, edge: Recorder) -> None:
        out = edge.one(EGRESS).inputs
        assert (out["fromPort"], out["toPort"], out["referencedSecurityGroupId"]) == (8080, 8080, "sg-nodes")
        admitted = _named(edge, INGRESS, "-admitted").inputs
        assert (admitted["fromPort"], admitted["toPort"]) == (8080, 8080)
        assert admitted["securityGroupId"] == "sg-nodes"
        assert not {"cidrIpv4", "cidrIpv6", "prefixListId"} & set(admitted)
        assert len(edge.of_type(INGRESS)) == 2

    def test_its_one_listener_speaks_tls(self, edge: Recorder) -> None:
        listener = edge.one("aws:lb/listener:Listener").inputs
        assert (listener["port"], listener["protocol"]) == (443, "HTTPS")
        assert listener["sslPolicy"].startswith("ELBSecurityPolicy-TLS13-1-2-")

    def test_it_waits_longer_than_cloudfront(self, edge: Recorder) -> None:
        (origin,) = edge.one(DISTRIBUTION).inputs["origins"]
        assert edge.one(BALANCER).inputs["idleTimeout"] > origin["vpcOriginConfig"]["originReadTimeout"]

    def test_smuggled_headers_are_dropped_and_it_is_not_deleted_by_mistake(self, edge: Recorder) -> None:
        balancer = edge.one(BALANCER).inputs
        assert balancer["dropInvalidHeaderFields"] is True
        assert balancer["desyncMitigationMode"] == "defensive"
        assert balancer["enableDeletionProtection"] is True

    def test_names_fit(self, edge: Recorder) -> None:
        """A cluster's name has at most 30 characters, names of load balancers and target groups 32."""
        for type_ in (BALANCER, "aws:lb/targetGroup:TargetGroup"):
            assert edge.one(type_).inputs["name"] == "llm-prod"

    def test_pods_get_whole_requests_without_turns_or_cookies(self, edge: Recorder) -> None:
        targets = edge.one("aws:lb/targetGroup:TargetGroup").inputs
        assert (targets["targetType"], targets["port"], targets["protocol"]) == ("ip", 8080, "HTTP")
        assert targets["stickiness"]["enabled"] is False
        assert targets["loadBalancingAlgorithmType"] == "least_outstanding_requests"
        assert targets["deregistrationDelay"] >= 120


class TestDistribution:
    @pytest.fixture
    def inputs(self, edge: Recorder) -> Mapping[str, Any]:
        return edge.one(DISTRIBUTION).inputs

    def test_nothing_is_cached_on_any_path(self, inputs: Mapping[str, Any]) -> None:
        behaviour = inputs["defaultCacheBehavior"]
        assert behaviour["cachePolicyId"] == CACHING_DISABLED
        assert not {"defaultTtl", "maxTtl", "minTtl", "forwardedValues"} & set(behaviour)
        assert "orderedCacheBehaviors" not in inputs

    def test_not_even_an_error(self, inputs: Mapping[str, Any]) -> None:
        kept = {each["errorCode"]: each for each in inputs["customErrorResponses"]}
        assert set(kept) == {400, 403, 404, 405, 414, 416, 500, 501, 502, 503, 504}
        assert all(each["errorCachingMinTtl"] == 0 for each in kept.values())
        assert not any("responsePagePath" in each or "responseCode" in each for each in kept.values())

    def test_tokens_are_not_held_back_for_compression(self, inputs: Mapping[str, Any]) -> None:
        assert inputs["defaultCacheBehavior"]["compress"] is False

    def test_the_gateway_sees_the_request_as_it_was_sent(self, inputs: Mapping[str, Any]) -> None:
        behaviour = inputs["defaultCacheBehavior"]
        assert behaviour["originRequestPolicyId"] == ALL_VIEWER
        assert {"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"} == set(
            behaviour["allowedMethods"]
        )

    def test_tls_on_the_whole_way(self, edge: Recorder, inputs: Mapping[str, Any]) -> None:
        assert inputs["defaultCacheBehavior"]["viewerProtocolPolicy"] == "https-only"
        assert inputs["viewerCertificate"]["minimumProtocolVersion"] == "TLSv1.2_2021"
        origin = edge.one("aws:cloudfront/vpcOrigin:VpcOrigin").inputs["vpcOriginEndpointConfig"]
        assert origin["originProtocolPolicy"] == "https-only"
        assert origin["originSslProtocols"] == {"items": ["TLSv1.2"], "quantity": 1}

    def test_browsers_are_told_to_stay_with_https(self, edge: Recorder) -> None:
        policy = edge.one("aws:cloudfront/responseHeadersPolicy:ResponseHeadersPolicy").inputs
        hsts = policy["securityHeadersConfig"]["strictTransportSecurity"]
        assert hsts["override"] is True
        assert hsts["accessControlMaxAgeSec"] >= 31_536_000

    def test_the_firewall_stands_in_front_of_it(self, edge: Recorder) -> None:
        assert edge.one("aws:wafv2/webAcl:WebAcl").urn in edge.one(DISTRIBUTION).dependencies
        assert edge.of_type("aws:wafv2/webAclAssociation:WebAclAssociation") == []

    def test_it_waits_as_long_as_the_settings_say(
        self, inputs: Mapping[str, Any], settings: Settings
    ) -> None:
        (origin,) = inputs["origins"]
        timeout = cast("Any", settings.edge).read_timeout_seconds
        assert origin["vpcOriginConfig"]["originReadTimeout"] == timeout
        assert "customOriginConfig" not in origin
        assert "responseCompletionTimeout" not in origin

    def test_it_joins_the_load_balancer_once_that_listens(self, edge: Recorder) -> None:
        origin = edge.one("aws:cloudfront/vpcOrigin:VpcOrigin")
        assert edge.one("aws:lb/listener:Listener").urn in origin.dependencies

    def test_the_domain_leads_to_it_by_both_protocols(self, edge: Recorder) -> None:
        records = [r for r in edge.of_type("aws:route53/record:Record") if "aliases" in r.inputs]
        assert {(r.inputs["type"], r.inputs["name"]) for r in records} == {
            ("A", "llm.example.com"),
            ("AAAA", "llm.example.com"),
        }
        assert all(edge.one(DISTRIBUTION).urn in r.dependencies for r in records)


class TestBinding:
    def test_the_gateway_s_pods_are_the_targets(self, edge: Recorder) -> None:
        binding = edge.one("kubernetes:elbv2.k8s.aws/v1beta1:TargetGroupBinding").inputs
        assert binding["metadata"] == {"name": "api-gateway", "namespace": "llm-prod"}
        assert binding["spec"]["serviceRef"] == {"name": "api-gateway", "port": 8080}
        assert binding["spec"]["targetType"] == "ip"

    def test_the_controller_leaves_security_groups_alone(self, edge: Recorder) -> None:
        spec = edge.one("kubernetes:elbv2.k8s.aws/v1beta1:TargetGroupBinding").inputs["spec"]
        assert "networking" not in spec

    def test_its_webhook_finds_nothing_to_fill_in(self, edge: Recorder) -> None:
        """A field that it fills in would differ from the program's at every run."""
        spec = edge.one("kubernetes:elbv2.k8s.aws/v1beta1:TargetGroupBinding").inputs["spec"]
        assert {"targetGroupARN", "targetType", "ipAddressType", "vpcID", "targetGroupProtocol"} <= set(spec)

    def test_it_comes_after_the_controller(self, deploy: Deploy, settings: Settings) -> None:
        """Whose webhook fills it in, and without whose definitions there is no such kind."""

        def program() -> None:
            options = pulumi.ResourceOptions(providers=_providers())
            controller = LoadBalancerController("lbc", FACTORIES[LoadBalancerController](settings), options)
            Edge("edge", replace(FACTORIES[Edge](settings), after=[controller]), options)

        recorder = deploy(program)
        binding = recorder.one("kubernetes:elbv2.k8s.aws/v1beta1:TargetGroupBinding")
        assert recorder.one("kubernetes:helm.sh/v3:Release").urn in binding.dependencies


class TestController:
    @pytest.fixture
    def controller(self, deploy: Deploy, settings: Settings) -> Recorder:
        def program() -> None:
            LoadBalancerController(
                "load-balancer-controller",
                FACTORIES[LoadBalancerController](settings),
                pulumi.ResourceOptions(providers=_providers()),
            )

        return deploy(program)

    @pytest.fixture
    def values(self) -> dict[str, Any]:
        return controller_values(cluster_name="llm", region="us-east-1", vpc_id="vpc-1", replicas=2)

    def test_every_value_is_one_that_the_chart_reads(self, values: dict[str, Any], root: Path) -> None:
        chart = root.parent / "shared" / "charts" / LOAD_BALANCER_CONTROLLER.name / "values.yaml"
        if not chart.is_file() and os.environ.get("VP_REQUIRE_SHARED") != "1":
            pytest.skip(f"the chart's values are not here: {chart}")
        assert _unknown(values, yaml.safe_load(chart.read_text("utf-8"))) == []

    def test_its_webhook_keeps_its_certificate(self, values: dict[str, Any]) -> None:
        assert (values["enableCertManager"], values["keepTLSSecret"]) == (False, True)

    def test_it_makes_no_load_balancers(self, values: dict[str, Any]) -> None:
        assert values["createIngressClassResource"] is False
        assert values["enableServiceMutatorWebhook"] is False
        assert values["webhookConfig"]["disableIngressValidation"] is True
        assert not any(values["controllerConfig"]["featureGates"].values())

    def test_it_asks_no_node_who_it_is(self, values: dict[str, Any]) -> None:
        assert (values["region"], values["vpcId"]) == ("us-east-1", "vpc-1")

    def test_it_runs_on_no_gpu_node(self, values: dict[str, Any]) -> None:
        assert "tolerations" not in values

    def test_it_starts_once_it_has_its_rights(self, controller: Recorder) -> None:
        association = controller.one("aws:eks/podIdentityAssociation:PodIdentityAssociation")
        release = controller.one("kubernetes:helm.sh/v3:Release")
        assert association.urn in release.dependencies
        account = release.inputs["values"]["serviceAccount"]["name"]
        assert association.inputs["serviceAccount"] == account
        assert association.inputs["namespace"] == release.inputs["namespace"]

    def test_it_changes_the_one_target_group_and_only_looks_at_the_rest(self, settings: Settings) -> None:
        cluster = cast("EksCluster", settings.cluster)
        fill, look = (s.to_dict() for s in target_statements(cluster, "llm-prod"))
        assert fill["Resource"] == [
            "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/llm-prod/*"
        ]
        assert fill["Action"] == [
            "elasticloadbalancing:DeregisterTargets",
            "elasticloadbalancing:RegisterTargets",
        ]
        assert look["Resource"] == ["*"]
        assert all(action.partition(":")[2].startswith("Describe") for action in look["Action"])

    def test_its_target_group_is_the_load_balancer_s(self, controller: Recorder, edge: Recorder) -> None:
        policy = json.loads(controller.one("aws:iam/rolePolicy:RolePolicy").inputs["policy"])
        name = edge.one("aws:lb/targetGroup:TargetGroup").inputs["name"]
        assert policy["Statement"][0]["Resource"][0].endswith(f":targetgroup/{name}/*")


def _unknown(values: Mapping[str, Any], known: Mapping[str, Any], path: str = "") -> list[str]:
    """Return the keys that a chart's own values lack. What a chart leaves empty is the user's to fill."""
    found: list[str] = []
    for key, value in values.items():
        here = f"{path}.{key}" if path else key
        if key not in known:
            found.append(here)
        elif isinstance(value, dict) and known[key]:
            found += _unknown(cast("dict[str, Any]", value), known[key], here)
    return found
