"""What the cluster is to add-ons: told by whoever makes the cluster, read by whoever installs them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What the cluster is to add-ons, where this program makes it; empty for one that exists.

    nodes: what must be there before a pod can run. access: before the pods of a unit, by its name, so that they get
    their rights. volumes: before a claim of a volume. vault_key: alias of Vault's key.
    secret_roles: that may read AWS Secrets Manager, by namespace.
    """

    nodes: Sequence[pulumi.Resource] = ()
    access: Mapping[str, Sequence[pulumi.Resource]] = field(
        default_factory=dict[str, Sequence[pulumi.Resource]]
    )
    volumes: Sequence[pulumi.Resource] = ()
    vault_key: str = ""
    secret_roles: Mapping[str, pulumi.Input[str]] = field(default_factory=dict[str, pulumi.Input[str]])
