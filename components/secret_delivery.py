"""The Secrets of one namespace, from where the stack keeps them.

Owns: from a store the account that reads it, the SecretStore and an ExternalSecret for each Secret; of the stack's own
secrets the Secrets themselves. Does not own: the store and what is in it, the right to read it, the namespace.

A store's values never pass through the program. The stack's own do: Pulumi keeps them encrypted in its state.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import pulumi
from pulumi_kubernetes.apiextensions import CustomResource
from pulumi_kubernetes.core.v1 import Secret, ServiceAccount
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from components.addons.pattern import Addon
from components.secret_store import (
    API,
    AUTHORITY_SECRET,
    ROLE_ANNOTATION,
    STORE,
    authority_request,
    external_secret_spec,
    store_spec,
)
from settings import RehearsalCluster, Settings
from settings.needed_secrets import NeededSecret
from settings.secrets import AwsSecrets, ManualSecrets, Secrets, VaultSecrets
from settings.vault_rules import READER

WAIT_SECONDS: Final = 1800
"""For a Vault that nobody has initialized yet: docs/secrets.md says what to do meanwhile."""
_CERTIFICATES: Final = "cert-manager.io/v1"
LABELS: Final = {"app.kubernetes.io/part-of": "vllm-platform"}


@dataclass(frozen=True, kw_only=True)
class SecretDeliveryArgs:
    """`secrets` of one namespace. after: who delivers, and the store, where this program installs them.

    values: the stack's own secrets, by name. role_arn: of the account that reads Secrets Manager. region: of the cluster.
    awaited: until each is there, so not where nobody delivers.
    """

    namespace: pulumi.Input[str]
    secrets: tuple[NeededSecret, ...]
    kept: Secrets
    region: str
    values: Mapping[str, pulumi.Input[str]] = field(default_factory=dict[str, pulumi.Input[str]])
    role_arn: pulumi.Input[str] | None = None
    after: Sequence[pulumi.Resource] = ()
    awaited: bool = True


class SecretDelivery(pulumi.ComponentResource):
    """Brings them. `names` is known once all are there."""

    names: pulumi.Output[list[str]]

    def __init__(
        self, name: str, args: SecretDeliveryArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("vllm-platform:security:SecretDelivery", name, {}, opts)
        self._name = name
        self._args = args
        kept = args.kept
        if isinstance(kept, VaultSecrets | AwsSecrets):
            made: list[pulumi.Resource] = self._from_store(kept)
        else:
            made = [self._secret(one) for one in args.secrets]
        names = [one.name for one in args.secrets]
        self.names = pulumi.Output.all(*(one.urn for one in made)).apply(lambda _: names)
        self.register_outputs({"names": self.names})

    def _secret(self, needed: NeededSecret) -> Secret:
        names = needed.config_names()
        return Secret(
            f"{self._name}-{needed.name}",
            metadata=self._metadata(needed.name),
            type="Opaque",
            string_data={key: self._args.values[names[key]] for key in needed.keys},
            opts=pulumi.ResourceOptions(parent=self, depends_on=[*self._args.after]),
        )

    def _from_store(self, kept: VaultSecrets | AwsSecrets) -> list[pulumi.Resource]:
        args = self._args
        annotations = {} if args.role_arn is None else {ROLE_ANNOTATION: args.role_arn}
        account = ServiceAccount(
            f"{self._name}-reader",
            metadata=self._metadata(READER, annotations),
            # External Secrets asks for its tokens by itself; no pod runs under it.
            automount_service_account_token=False,
            opts=pulumi.ResourceOptions(parent=self),
        )
        before: list[pulumi.Resource] = [*args.after, account]
        if isinstance(kept, VaultSecrets) and kept.address is None:
            # cert-manager is there: the program's own Vault waits for it.
            before.append(
                self._object(
                    "authority",
                    "Certificate",
                    AUTHORITY_SECRET,
                    authority_request(),
                    args.after,
                )
            )
        namespace = args.secrets[0].namespace
        spec = store_spec(kept, namespace=namespace, region=args.region)
        # The webhook of External Secrets looks at each; and when they go, its controller must still be there.
        store = self._object("store", "SecretStore", STORE, spec, before)
        return [
            self._object(
                one.name,
                "ExternalSecret",
                one.name,
                external_secret_spec(kept, one),
                [store],
                wait=args.awaited,
            )
            for one in args.secrets
        ]

    def _object(
        self,
        role: str,
        kind: str,
        name: str,
        spec: Mapping[str, Any],
        after: Sequence[pulumi.Resource],
        *,
        wait: bool = False,
    ) -> CustomResource:
        limit = f"{WAIT_SECONDS}s"
        return CustomResource(
            f"{self._name}-{role}",
            api_version=_CERTIFICATES if kind == "Certificate" else API,
            kind=kind,
            metadata=self._metadata(name, {"pulumi.com/waitFor": "condition=Ready"} if wait else None),
            spec=spec,
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[*after],
                custom_timeouts=pulumi.CustomTimeouts(create=limit, update=limit) if wait else None,
            ),
        )

    def _metadata(
        self, name: str, annotations: Mapping[str, pulumi.Input[str]] | None = None
    ) -> ObjectMetaArgs:
        return ObjectMetaArgs(
            name=name, namespace=self._args.namespace, labels=LABELS, annotations=annotations or None
        )


@dataclass(frozen=True, kw_only=True)
class SecretSource:
    """What delivers a stack's Secrets. `values`: its own secrets. `roles`: that may read Secrets Manager, by namespace.

    made: what is delivered already, by namespace.
    """

    settings: Settings
    values: Mapping[str, pulumi.Output[str]] = field(default_factory=dict[str, pulumi.Output[str]])
    roles: Mapping[str, pulumi.Input[str]] = field(default_factory=dict[str, pulumi.Input[str]])
    made: dict[str, SecretDelivery] = field(default_factory=dict[str, SecretDelivery])

    def of(self, user: str) -> tuple[NeededSecret, ...]:
        """Return all Secrets of the namespace of one who reads some of them; none where somebody else makes them."""
        if isinstance(self.settings.secrets, ManualSecrets):
            return ()
        needed = self.settings.needed_secrets
        places = {one.namespace for one in needed if user in one.users}
        return tuple(one for one in needed if one.namespace in places)

    def deliver(
        self,
        secrets: tuple[NeededSecret, ...],
        namespace: pulumi.Input[str],
        addons: Mapping[str, Addon],
        opts: pulumi.ResourceOptions,
    ) -> SecretDelivery:
        """Deliver those of one namespace, once. `addons`: those that this program has installed, by unit."""
        settings = self.settings
        where = secrets[0].namespace
        if where in self.made:
            return self.made[where]
        args = SecretDeliveryArgs(
            namespace=namespace,
            secrets=secrets,
            kept=settings.secrets,
            region=settings.cluster.region,
            values=self.values,
            role_arn=self.roles.get(where),
            after=[addons[unit] for unit in ("external-secrets", "vault") if unit in addons],
            awaited=not isinstance(settings.cluster, RehearsalCluster),
        )
        self.made[where] = SecretDelivery(f"secrets-{where}", args, opts)
        return self.made[where]
