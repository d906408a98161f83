"""Where objects of any kind are sent: the API server itself says how a kind is spelt in an address."""

from typing import Any

from rehearsal.cluster.api import Api


def address(api: Api, document: dict[str, Any], *, namespace: str | None = None) -> str:
    """Return the path of an object. namespace: another one than its own."""
    group, _, version = document["apiVersion"].rpartition("/")
    root = f"/apis/{group}/{version}" if group else f"/api/{version}"
    resources = api.fetch(root)["resources"]
    (kind,) = [each for each in resources if each["kind"] == document["kind"] and "/" not in each["name"]]
    metadata = document["metadata"]
    place = f"namespaces/{namespace or metadata['namespace']}/" if kind["namespaced"] else ""
    return f"{root}/{place}{kind['name']}/{metadata['name']}"
