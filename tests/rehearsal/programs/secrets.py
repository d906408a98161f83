"""A Pulumi program that delivers one Secret as the stacks do: of the stack's own secrets, or from a store."""

import json

import pulumi
from pulumi_kubernetes import Provider
from pydantic import TypeAdapter

from components.secret_delivery import SecretDelivery, SecretDeliveryArgs
from settings.needed_secrets import NeededSecret
from settings.secrets import PulumiSecrets, Secrets

config = pulumi.Config()
kept = TypeAdapter[Secrets](Secrets).validate_python(json.loads(config.require("kept")))
needed = NeededSecret(
    namespace=config.require("namespace"),
    name="hub-token",
    keys=("token",),
    setting="storage.fetch.hub_token_secret",
    users=frozenset({"models"}),
)
values = (
    {name: config.require_secret(name) for name in needed.config_names().values()}
    if isinstance(kept, PulumiSecrets)
    else {}
)
provider = Provider("kubernetes", kubeconfig=config.require("kubeconfig"), enable_server_side_apply=True)
delivery = SecretDelivery(
    "secrets",
    SecretDeliveryArgs(
        namespace=needed.namespace, secrets=(needed,), kept=kept, region="us-east-1", values=values
    ),
    pulumi.ResourceOptions(providers=[provider]),
)
pulumi.export("delivered", delivery.names)
# What a careless program would show.
for name, value in values.items():
    pulumi.export(name, value)
