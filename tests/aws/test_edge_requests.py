"""What the edge asks of AWS is of the API's shape: members, types, sizes, and every word that is one of a list."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pulumi
import pytest
from pulumi_aws import Provider as AwsProvider
from pulumi_kubernetes import Provider as KubernetesProvider

from components.aws.edge import Edge
from ops.recorder import Recorder
from settings import Settings, load_stack_file
from tests.aws.mechanical import Shape, faults, filled, operation, request
from tests.contract.edge_factories import CERTIFICATE, FACTORIES

pytestmark = pytest.mark.contract

Deploy = Callable[[Callable[[], object]], Recorder]
Client = Callable[[str], Any]
Inputs = Mapping[str, Any]
Form = Callable[[Inputs], Inputs]
BALANCER: Final = "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/llm/0123456789abcdef"
TARGETS: Final = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/llm/0123456789abcdef"
# What only AWS knows, by the name of the input.
STAND_INS: Final = {
    "acmCertificateArn": CERTIFICATE,
    "arn": BALANCER,
    "certificateArn": CERTIFICATE,
    "domainName": "internal-llm-1.us-east-1.elb.amazonaws.com",
    "loadBalancerArn": BALANCER,
    "logDestinationConfigs": "arn:aws:logs:us-east-1:123456789012:log-group:aws-waf-logs-llm",
    "name": "d111111abcdef8.cloudfront.net",
    "records": "_proof.acm-validations.aws.",
    "resourceArn": "arn:aws:wafv2:us-east-1:123456789012:global/webacl/edge/11111111-2222-3333-4444-555555555555",
    "responseHeadersPolicyId": "11111111-2222-3333-4444-555555555555",
    "securityGroups": "sg-0123456789abcdef0",
    "targetGroupArn": TARGETS,
    "type": "CNAME",
    "vpcOriginId": "vo_0123456789abcdef0",
    "webAclId": "arn:aws:wafv2:us-east-1:123456789012:global/webacl/edge/11111111-2222-3333-4444-555555555555",
    "zoneId": "Z2FDTNDATAQYW2",
}


def _same(inputs: Inputs) -> Inputs:
    return inputs


def _without(*names: str) -> Form:
    return lambda inputs: {key: value for key, value in inputs.items() if key not in names}


def _renamed(names: Mapping[str, str], form: Form = _same) -> Form:
    return lambda inputs: {names.get(key, key): value for key, value in form(inputs).items()}


def _balancer(inputs: Inputs) -> Inputs:
    """Attributes are set by another call, as text; the scheme is a word."""
    scheme = "internal" if inputs["internal"] else "internet-facing"
    same = ("name", "subnets", "securityGroups")
    return {**{key: inputs[key] for key in same}, "type": inputs["loadBalancerType"], "scheme": scheme}


def _targets(inputs: Inputs) -> Inputs:
    check = dict(inputs["healthCheck"])
    flat = {
        "healthCheckIntervalSeconds": check.pop("interval"),
        "healthCheckTimeoutSeconds": check.pop("timeout"),
        "healthyThresholdCount": check.pop("healthyThreshold"),
        "unhealthyThresholdCount": check.pop("unhealthyThreshold"),
        "matcher": {"httpCode": check.pop("matcher")},
        **{f"healthCheck{key[0].upper()}{key[1:]}": value for key, value in check.items()},
    }
    apart = ("healthCheck", "stickiness", "deregistrationDelay", "loadBalancingAlgorithmType")
    return {**_without(*apart)(inputs), **flat}


def _listener(inputs: Inputs) -> Inputs:
    certificates = [{"certificateArn": inputs["certificateArn"]}]
    return {**_without("certificateArn")(inputs), "certificates": certificates}


def _record(inputs: Inputs) -> Inputs:
    record: dict[str, Any] = {"name": inputs["name"], "type": inputs["type"]}
    for alias in inputs.get("aliases", ()):
        record["aliasTarget"] = {
            "hostedZoneId": alias["zoneId"],
            "dnsName": alias["name"],
            "evaluateTargetHealth": alias["evaluateTargetHealth"],
        }
    if "records" in inputs:
        record |= {"ttl": inputs["ttl"], "resourceRecords": [{"value": each} for each in inputs["records"]]}
    changes = [{"action": "CREATE", "resourceRecordSet": record}]
    return {"hostedZoneId": inputs["zoneId"], "changeBatch": {"changes": changes}}


def _distribution(inputs: Inputs) -> Inputs:
    behaviour = dict(inputs["defaultCacheBehavior"])
    behaviour["allowedMethods"] = {
        **_counted(behaviour["allowedMethods"]),
        "cachedMethods": _counted(behaviour.pop("cachedMethods")),
    }
    origins = [_renamed({"originId": "id"})(origin) for origin in inputs["origins"]]
    config = {
        **inputs,
        "callerReference": "once",
        "aliases": _counted(inputs["aliases"]),
        "origins": _counted(origins),
        "defaultCacheBehavior": behaviour,
        "customErrorResponses": _counted(inputs["customErrorResponses"]),
        "restrictions": {"geoRestriction": {**inputs["restrictions"]["geoRestriction"], "quantity": 0}},
    }
    return {"distributionConfig": config}


def _counted(items: list[Any]) -> dict[str, Any]:
    """CloudFront's lists say how long they are."""
    return {"quantity": len(items), "items": items}


# The call behind a resource, and how its inputs differ from the call's; everything else is mechanical.
CALLS: Final[Mapping[str, tuple[str, str, Form]]] = {
    "aws:acm/certificate:Certificate": ("acm", "RequestCertificate", _same),
    "aws:cloudfront/distribution:Distribution": ("cloudfront", "CreateDistribution", _distribution),
    "aws:cloudfront/responseHeadersPolicy:ResponseHeadersPolicy": (
        "cloudfront",
        "CreateResponseHeadersPolicy",
        lambda i: {"responseHeadersPolicyConfig": i},
    ),
    "aws:cloudfront/vpcOrigin:VpcOrigin": ("cloudfront", "CreateVpcOrigin", _same),
    "aws:cloudwatch/logGroup:LogGroup": (
        "logs",
        "CreateLogGroup",
        _renamed({"name": "logGroupName"}, _without("retentionInDays")),
    ),
    "aws:lb/listener:Listener": ("elbv2", "CreateListener", _listener),
    "aws:lb/loadBalancer:LoadBalancer": ("elbv2", "CreateLoadBalancer", _balancer),
    "aws:lb/targetGroup:TargetGroup": ("elbv2", "CreateTargetGroup", _targets),
    "aws:route53/record:Record": ("route53", "ChangeResourceRecordSets", _record),
    "aws:wafv2/webAcl:WebAcl": ("wafv2", "CreateWebACL", _same),
    "aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration": (
        "wafv2",
        "PutLoggingConfiguration",
        lambda i: {"loggingConfiguration": i},
    ),
}
# A wait of the provider's, and calls that other tests prove.
ELSEWHERE: Final = {
    "aws:acm/certificateValidation:CertificateValidation",
    "aws:ec2/securityGroup:SecurityGroup",
    "aws:eks/podIdentityAssociation:PodIdentityAssociation",
    "aws:iam/role:Role",
    "aws:iam/rolePolicy:RolePolicy",
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule",
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
}


@pytest.fixture
def settings(root: Path) -> Settings:
    return load_stack_file(root / "Pulumi.prod.yaml")


@pytest.fixture
def recorder(deploy: Deploy, settings: Settings) -> Recorder:
    def program() -> None:
        providers: list[pulumi.ProviderResource] = [
            AwsProvider("aws", region="us-east-1"),
            KubernetesProvider("k8s", kubeconfig="{}"),
        ]
        Edge("edge", FACTORIES[Edge](settings), pulumi.ResourceOptions(providers=providers))

    return deploy(program)


def _calls(recorder: Recorder) -> Iterator[tuple[str, dict[str, Any], Shape]]:
    for resource in recorder.registrations:
        if resource.type in CALLS:
            service, name, form = CALLS[resource.type]
            inputs = _without("region")(filled(resource.inputs, STAND_INS))
            shape = operation(service, name)
            yield f"{resource.name} {service}:{name}", request(form(inputs), shape), shape


def test_every_resource_has_its_call(recorder: Recorder) -> None:
    types = {r.type for r in recorder.registrations if r.type.startswith("aws:")}
    assert types - ELSEWHERE == set(CALLS)


def test_the_api_s_model_finds_no_fault(recorder: Recorder) -> None:
    found = {call: faults(params, shape) for call, params, shape in _calls(recorder)}
    assert {call: fault for call, fault in found.items() if fault} == {}


def test_attributes_of_the_load_balancer_are_within_its_limits(recorder: Recorder) -> None:
    """Their names and values are plain text to the API's model (ModifyLoadBalancerAttributes, documentation)."""
    balancer = recorder.one("aws:lb/loadBalancer:LoadBalancer").inputs
    assert 1 <= balancer["idleTimeout"] <= 4000
    assert balancer["desyncMitigationMode"] in {"monitor", "defensive", "strictest"}
    targets = recorder.one("aws:lb/targetGroup:TargetGroup").inputs
    assert 0 <= targets["deregistrationDelay"] <= 3600
    assert targets["loadBalancingAlgorithmType"] in {
        "round_robin",
        "least_outstanding_requests",
        "weighted_random",
    }


def test_a_firewall_is_made_of_it(recorder: Recorder, aws_client: Client) -> None:
    wafv2 = aws_client("wafv2")
    (params,) = [params for call, params, _ in _calls(recorder) if call.endswith(":CreateWebACL")]
    made = wafv2.create_web_acl(**params)["Summary"]
    read = wafv2.get_web_acl(Name=made["Name"], Scope="CLOUDFRONT", Id=made["Id"])["WebACL"]
    assert [rule["Priority"] for rule in read["Rules"]] == [0, 1, 2, 3, 4]
    assert read["DefaultAction"] == {"Allow": {}}
