"""What is on a cluster, to be compared with what was."""

from dataclasses import dataclass
from typing import Any, Final, Self, cast

from rehearsal.cluster.api import Api

KINDS: Final = {
    "v1": ("Namespace", "ConfigMap", "Secret", "Service", "ServiceAccount"),
    "apps/v1": ("DaemonSet", "Deployment", "StatefulSet"),
    "batch/v1": ("Job",),
    "rbac.authorization.k8s.io/v1": ("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"),
    "policy/v1": ("PodDisruptionBudget",),
    "apiextensions.k8s.io/v1": ("CustomResourceDefinition",),
    "apiregistration.k8s.io/v1": ("APIService",),
    "admissionregistration.k8s.io/v1": (
        "MutatingWebhookConfiguration",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
        "ValidatingWebhookConfiguration",
    ),
}
# Those that write objects of the cluster's own, as field managers.
CLUSTER: Final = {"kube-apiserver", "kube-controller-manager"}


@dataclass(frozen=True)
class Snapshot:
    """Objects as (kind, name or namespace/name), each with what changes when somebody touches it."""

    versions: dict[tuple[str, str], str]

    @property
    def objects(self) -> set[tuple[str, str]]:
        return set(self.versions)

    def __sub__(self, before: Self) -> "Snapshot":
        return Snapshot({key: value for key, value in self.versions.items() if key not in before.versions})


def snapshot(api: Api) -> Snapshot:
    """Look at everything that a chart may make."""
    return Snapshot(
        {
            (kind, _name(each)): each["metadata"]["resourceVersion"]
            for version, kinds in KINDS.items()
            for kind in kinds
            for each in api.list(version, kind)
            if not _is_the_cluster_s(kind, each)
        }
    )


def _is_the_cluster_s(kind: str, each: dict[str, Any]) -> bool:
    """Tell whether the cluster itself makes or fills it: such a role, the service of a definition, what each namespace has.

    The controllers make theirs (`kube-root-ca.crt`, their own accounts) some time after the API server is ready.
    """
    writers = {entry["manager"] for entry in each["metadata"].get("managedFields", [])}
    of_the_cluster = bool(writers) and writers <= CLUSTER
    of_definitions = kind == "APIService" and not each["spec"].get("service")
    return of_the_cluster or of_definitions or "aggregationRule" in each


def _name(each: dict[str, Any]) -> str:
    metadata = each["metadata"]
    return "/".join(part for part in (metadata.get("namespace"), metadata["name"]) if part)


def deployed_releases(api: Api) -> set[str]:
    """Return the names of Helm's releases that are deployed."""
    secrets = api.list("v1", "Secret", labels="owner=helm")
    labels = [cast("dict[str, str]", secret["metadata"]["labels"]) for secret in secrets]
    assert all(each["status"] == "deployed" for each in labels)
    return {each["name"] for each in labels}
