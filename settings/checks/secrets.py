"""Secrets: kept where the cluster can get them, each of them there, and in prod in a store and nowhere else."""

from collections.abc import Iterable

from settings.checks.naming import listed
from settings.cluster import EksCluster, RehearsalCluster
from settings.draft import Draft
from settings.needed_secrets import NeededSecret, needed_secrets
from settings.problems import Problem
from settings.secrets import AwsSecrets, PulumiSecrets, VaultSecrets


def check(draft: Draft) -> list[Problem]:
    """Return the problems of the section `secrets`."""
    kept = draft.kept
    if kept is None or draft.cluster is None or draft.asked is None:
        return []
    if isinstance(kept, VaultSecrets):
        return [*_delivery(draft), *_vault(kept, draft)]
    if isinstance(kept, AwsSecrets):
        return [*_delivery(draft), *_aws(draft)]
    needed = _needed(draft)
    problems = [*_prod(needed, draft)]
    if isinstance(kept, PulumiSecrets) and not problems:
        problems += _config(needed, draft)
    return problems


def _needed(draft: Draft) -> tuple[NeededSecret, ...]:
    """Return what the stack would ask a store for."""
    if (
        draft.namespace is None
        or draft.storage is None
        or draft.observability is None
        or draft.database is None
        or draft.gateway is None
        or draft.asked is None
    ):
        return ()
    return needed_secrets(
        namespace=draft.namespace,
        storage=draft.storage,
        observability=draft.observability,
        database=draft.database,
        gateway=draft.gateway,
        asked=draft.asked,
    )


def _prod(needed: tuple[NeededSecret, ...], draft: Draft) -> Iterable[Problem]:
    if draft.environment != "prod" or isinstance(draft.cluster, RehearsalCluster) or not needed:
        return
    kind = "aws" if isinstance(draft.cluster, EksCluster) else "vault"
    names = listed(f"{one.namespace}/{one.name} ({one.setting})" for one in needed)
    reason = (
        f"in prod {names} would be a copy that nobody replaces, and of which no log says who read it: "
        "secrets come from a store"
    )
    yield Problem(
        "secrets.kind",
        draft.kept and draft.kept.kind,
        reason,
        f"write `secrets: {{kind: {kind}, prefix: ...}}`",
    )


def _config(needed: tuple[NeededSecret, ...], draft: Draft) -> Iterable[Problem]:
    """What the program makes Secrets of must be among the stack's own."""
    for one in needed:
        if one.from_store:
            continue
        for key, name in one.config_names().items():
            if name not in draft.secrets:
                yield Problem(
                    one.setting,
                    one.name,
                    f"the stack has no secret {name}, of which its key {key} would be made",
                    f"set it: `pulumi config set --secret vllm-platform:{name}`",
                )


def _delivery(draft: Draft) -> Iterable[Problem]:
    if draft.asked is not None and draft.asked.choice("external_secrets") == "off" and _needed(draft):
        word = "managed" if isinstance(draft.cluster, EksCluster) else "managed or existing"
        yield Problem(
            "secrets.kind",
            draft.kept and draft.kept.kind,
            "nothing would bring secrets from the store into the cluster: addons.external_secrets is off",
            f"write addons.external_secrets: {word}, or `secrets: {{kind: manual}}`",
        )


def _vault(kept: VaultSecrets, draft: Draft) -> Iterable[Problem]:
    own = draft.asked is not None and draft.asked.choice("vault") == "managed"
    if own and kept.address is not None:
        yield Problem(
            "secrets.address",
            kept.address,
            "addons.vault is managed, and secrets would come from another Vault beside it",
            "remove it, or write addons.vault: off",
        )
    if not own and kept.address is None:
        yield Problem(
            "secrets.address",
            None,
            "the program installs no Vault, so it must be told where one answers",
            "write its address, e.g. 'https://vault.internal:8200', or on EKS addons.vault: managed",
        )
    if kept.authority is not None and kept.address is None:
        yield Problem(
            "secrets.authority",
            kept.authority,
            "the program's own Vault has a certificate of the program's own authority",
            "remove it",
        )


def _aws(draft: Draft) -> Iterable[Problem]:
    if not isinstance(draft.cluster, EksCluster):
        yield Problem(
            "secrets.kind",
            "aws",
            "on a cluster that the program does not create, no role could be given to who reads the secrets",
            "write `secrets: {kind: vault, ...}`",
        )
