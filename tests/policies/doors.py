"""Cases of rules about AWS under other names: balancers, buckets, address ranges, Services, disks of nodes."""

from policies.rules.model import Config
from tests.policies.cases import Case, Given, obj
from tests.policies.cloud import BALANCER, BUCKET, CLOSED, CLUSTER, GROUP, MACHINE, RULE, of_buckets

OLD_BUCKET: dict[str, Given] = {
    "bucket": ("aws:s3/bucketV2:BucketV2", {"bucket": BUCKET, "forceDestroy": False, "acl": "private"}),
    "private": CLOSED["private"],
    "encryption": (
        "aws:s3/bucketServerSideEncryptionConfigurationV2:BucketServerSideEncryptionConfigurationV2",
        {"bucket": BUCKET},
    ),
    "list": ("aws:s3/bucketAclV2:BucketAclV2", {"bucket": BUCKET, "acl": "private"}),
}
SCHEME = "service.beta.kubernetes.io/aws-load-balancer-scheme"
INTERNAL = "service.beta.kubernetes.io/aws-load-balancer-internal"
RANGES = "loadBalancerSourceRanges"


def service(annotations: dict[str, str], **spec: object) -> dict[str, Given]:
    """A Service that the cloud puts a load balancer before."""
    return {
        "service": obj(
            "v1",
            "Service",
            "door",
            "llm-prod",
            annotations=annotations,
            spec={"type": "LoadBalancer", **spec},
        )
    }


def other_balancer(kind: str) -> dict[str, Given]:
    return {"balancer": (f"aws:{kind}/loadBalancer:LoadBalancer", BALANCER["balancer"][1])}


CASES = (
    *(
        Case(
            rule="nothing-is-public",
            keeps=other_balancer(kind),
            at=("balancer", "internal"),
            wrong=(False,),
            absent=True,
            says="LoadBalancer balancer is reached from the internet",
        )
        for kind in ("alb", "elb")
    ),
    Case(
        rule="nothing-is-public",
        keeps=RULE,
        at=("rule", "cidrIpv4"),
        wrong=("0.0.0.0/1", "128.0.0.0/1", "64.0.0.0/2", "10.0.0.1/7"),
        says="in",
    ),
    Case(
        rule="nothing-is-public",
        keeps={
            "rule": (
                "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
                {"cidrIpv6": "2001:db8::/32"},
            )
        },
        at=("rule", "cidrIpv6"),
        wrong=("::/0", "2000::/3", "::/1"),
        says="in",
    ),
    Case(
        rule="nothing-is-public",
        keeps={
            "rule": ("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", {"cidrIpv6": "fc00::/7"})
        },
        at=("rule", "cidrIpv6"),
        wrong=("8000::/1",),
        says="in",
    ),
    Case(
        rule="nothing-is-public",
        keeps=GROUP,
        at=("group", "ingress", 0, "cidrBlocks"),
        wrong=(["0.0.0.0/1", "128.0.0.0/1"],),
        says="lets the whole internet in",
    ),
    Case(
        rule="nothing-is-public",
        keeps=CLUSTER,
        at=("cluster", "vpcConfig", "publicAccessCidrs"),
        wrong=(["203.0.113.0/24", "0.0.0.0/1"],),
        absent=True,
        says="the whole internet reaches",
    ),
    Case(
        rule="nothing-is-public",
        keeps=service({SCHEME: "internal"}),
        at=("service", "metadata", "annotations", SCHEME),
        wrong=("internet-facing",),
        absent=True,
        says="Service door is reached from the internet",
    ),
    Case(
        rule="nothing-is-public",
        keeps=service({INTERNAL: "true"}),
        at=("service", "metadata", "annotations", INTERNAL),
        wrong=("false",),
        absent=True,
        says="Service door is reached from the internet",
    ),
    Case(
        rule="nothing-is-public",
        keeps=service({SCHEME: "internet-facing"}, **{RANGES: ["203.0.113.0/24"]}),
        at=("service", "spec", RANGES),
        wrong=(["0.0.0.0/0"], ["203.0.113.0/24", "0.0.0.0/1"], []),
        absent=True,
        says="Service door is reached from the internet",
    ),
    Case(
        rule="nothing-is-public",
        keeps=service({}, loadBalancerClass="tailscale"),
        at=("service", "spec", "loadBalancerClass"),
        wrong=("service.k8s.aws/nlb",),
        absent=True,
        says="Service door is reached from the internet",
    ),
    Case(
        rule="nothing-is-public",
        keeps=service({"a": "b"}),
        at=("service", "metadata", "annotations"),
        wrong=({SCHEME: "internet-facing"},),
        says="Service door is reached from the internet",
        config=Config(cluster="existing"),
    ),
    Case(
        rule="nothing-is-public",
        keeps={
            "entry": obj(
                "networking.k8s.io/v1",
                "Ingress",
                "entry",
                "llm-prod",
                annotations={"alb.ingress.kubernetes.io/scheme": "internal"},
            )
        },
        at=("entry", "metadata", "annotations", "alb.ingress.kubernetes.io/scheme"),
        wrong=("internet-facing",),
        says="Ingress entry is reached from the internet",
    ),
    Case(
        rule="nothing-is-public",
        keeps=OLD_BUCKET,
        at=("list", "acl"),
        wrong=("public-read",),
        says="has the access list public-read",
    ),
    Case(
        rule="nothing-is-public",
        keeps=OLD_BUCKET,
        at=("bucket", "acl"),
        wrong=("public-read",),
        says="has the access list public-read",
    ),
    *of_buckets(OLD_BUCKET),
    Case(
        rule="deletion-is-no-accident",
        keeps=other_balancer("alb"),
        at=("balancer", "enableDeletionProtection"),
        wrong=(False,),
        absent=True,
        says="has enableDeletionProtection off",
    ),
    Case(
        rule="what-is-kept-is-encrypted",
        keeps={"nodes": ("aws:eks/nodeGroup:NodeGroup", {"launchTemplate": {"id": "lt-1", "version": "1"}})},
        at=("nodes", "launchTemplate"),
        absent=True,
        says="NodeGroup nodes is not encrypted",
    ),
    Case(
        rule="what-is-kept-is-encrypted",
        keeps=MACHINE,
        at=("template", "blockDeviceMappings"),
        wrong=([], [{"deviceName": "/dev/sdb", "virtualName": "ephemeral0"}]),
        absent=True,
        says="LaunchTemplate template is not encrypted",
    ),
)
