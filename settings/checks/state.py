"""Where Pulumi keeps its state: outside of dev encrypted, and its secrets with a key of a key management service."""

from collections.abc import Iterable
from typing import Final

from settings.cluster import Cluster, EksCluster, RehearsalCluster
from settings.draft import Draft
from settings.problems import Problem
from settings.state import State

_EXAMPLE: Final = (
    "{backend: 's3://acme-pulumi-state?region=us-east-1', "
    "secrets_provider: 'awskms://alias/pulumi?region=us-east-1'}"
)


def check(draft: Draft) -> list[Problem]:
    """Return the problems of the state."""
    if draft.cluster is None or draft.broken_state:
        return []
    if isinstance(draft.cluster, RehearsalCluster):
        return list(_rehearsal(draft.state))
    if draft.environment not in {"staging", "prod"}:
        return []
    if draft.state is None:
        reason = f"in {draft.environment} state and secrets must be encrypted, and nothing says how"
        return [Problem("state", None, reason, f"add `vllm-platform:state: {_EXAMPLE}`, see docs/state.md")]
    return [*_backend(draft.state, draft), *_secrets(draft.state, draft.cluster)]


def _rehearsal(state: State | None) -> Iterable[Problem]:
    if state is not None:
        reason = "a rehearsal keeps its state below .rehearsal/ and would ignore this"
        yield Problem("state", state.backend, reason, "remove the section")


def _backend(state: State, draft: Draft) -> Iterable[Problem]:
    if state.backend_kind == "file":
        yield Problem(
            "state.backend",
            state.backend,
            f"files on one machine: not shared, not locked and not encrypted, in {draft.environment}",
            "use 's3://BUCKET?region=REGION' (docs/state.md makes it), or 'https://api.pulumi.com'",
        )


def _secrets(state: State, cluster: Cluster) -> Iterable[Problem]:
    path, value = "state.secrets_provider", state.secrets_provider
    if isinstance(cluster, EksCluster):
        if state.secrets_kind != "awskms":
            reason = "the key must be one that IAM of the account rules over and CloudTrail watches"
            yield Problem(path, value, reason, "use 'awskms://alias/NAME?region=REGION'")
    elif state.secrets_kind == "passphrase":
        reason = "whoever learns the passphrase reads every secret for ever: nobody can take it back"
        yield Problem(path, value, reason, "use a key of awskms, gcpkms, azurekeyvault or hashivault")
