"""A Pulumi program of somebody else: External Secrets, installed beforehand under a name and in a namespace of its own."""

import pulumi
from pulumi_kubernetes import Provider
from pulumi_kubernetes.core.v1 import Namespace
from pulumi_kubernetes.helm.v3 import Release

config = pulumi.Config()
provider = Provider("kubernetes", kubeconfig=config.require("kubeconfig"), enable_server_side_apply=True)
options = pulumi.ResourceOptions(provider=provider)
namespace = Namespace("secrets", metadata={"name": "team-secrets"}, opts=options)
Release(
    "secrets",
    name="team-secrets",
    chart=f"{config.require('charts')}/external-secrets",
    namespace=namespace.metadata["name"],
    values={"webhook": {"create": False}, "certController": {"create": False}},
    opts=options,
)
