"""What a pod mounts, written as files: Secrets, ConfigMaps, tokens of its account, facts of itself, scratch space."""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, cast

from rehearsal.cluster.api import Api, Object, resource_path

TOKEN_SECONDS: Final = 3600


class NotThereError(Exception):
    """An object that a pod refers to is not there yet: the pod waits for it, as with a kubelet."""


class PodApi(Api):
    """What a kubelet asks beside what the rehearsal does."""

    def token(self, pod: Object, audience: str | None) -> str:
        """Return a token of the pod's account, bound to the pod."""
        meta = pod["metadata"]
        account = resource_path("v1", "ServiceAccount", meta["namespace"], pod["spec"]["serviceAccountName"])
        spec: dict[str, Any] = {
            "expirationSeconds": TOKEN_SECONDS,
            "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": meta["name"], "uid": meta["uid"]},
        }
        if audience:
            spec["audiences"] = [audience]
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        answer = self._json(
            "POST",
            f"{account}/token",
            content=json.dumps(body),
            headers={"Content-Type": "application/json"},
        )
        return str(answer["status"]["token"])

    def set_status(self, pod: Object, status: Mapping[str, Any]) -> None:
        """Write what the pod is. Raises ApiError where it is gone."""
        path = resource_path("v1", "Pod", pod["metadata"]["namespace"], pod["metadata"]["name"])
        self._json(
            "PATCH",
            f"{path}/status",
            content=json.dumps({"metadata": {"uid": pod["metadata"]["uid"]}, "status": status}),
            headers={"Content-Type": "application/merge-patch+json"},
        )

    def confirm_end(self, pod: Object) -> None:
        """Take the pod away: its containers have ended. Raises ApiError where it is gone."""
        path = resource_path("v1", "Pod", pod["metadata"]["namespace"], pod["metadata"]["name"])
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": pod["metadata"]["uid"]}}
        self._json("DELETE", path, content=json.dumps(options), headers={"Content-Type": "application/json"})


def write_volumes(api: PodApi, pod: Object, folder: Path) -> dict[str, Path]:
    """Write every volume of a pod. Return its folder by its name. Raises NotThereError."""
    written: dict[str, Path] = {}
    for volume in pod["spec"].get("volumes", []):
        target = folder / volume["name"]
        target.mkdir(parents=True, exist_ok=True)
        written[volume["name"]] = target
        for path, content in _files(api, pod, volume).items():
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            (target / path).write_bytes(content)
    return written


def _files(api: PodApi, pod: Object, volume: Mapping[str, Any]) -> dict[str, bytes]:
    kinds = set(volume) - {"name"}
    if kinds & {"emptyDir", "persistentVolumeClaim"}:
        # Weights on a claim are nobody's here: what plays the engine reads none.
        return {}
    if "projected" in kinds:
        found: dict[str, bytes] = {}
        for source in volume["projected"]["sources"]:
            found |= _source(api, pod, source)
        return found
    if "secret" in kinds:
        secret = {"name": volume["secret"]["secretName"], **volume["secret"]}
        return _source(api, pod, {"secret": secret})
    return _source(api, pod, {key: volume[key] for key in kinds})


def _source(api: PodApi, pod: Object, source: Mapping[str, Any]) -> dict[str, bytes]:
    ((kind, given),) = source.items()
    namespace = pod["metadata"]["namespace"]
    if kind == "serviceAccountToken":
        return {given["path"]: api.token(pod, given.get("audience")).encode()}
    if kind == "downwardAPI":
        return {item["path"]: field(pod, item["fieldRef"]["fieldPath"]).encode() for item in given["items"]}
    if kind == "configMap":
        content = data(api, "ConfigMap", given["name"], namespace, optional=given.get("optional", False))
    elif kind == "secret":
        content = data(api, "Secret", given["name"], namespace, optional=given.get("optional", False))
    else:
        message = f"pod {pod['metadata']['name']}: a volume of kind {kind} can not be made here"
        raise NotImplementedError(message)
    if "items" not in given:
        return content
    return {item["path"]: content[item["key"]] for item in given["items"]}


def data(api: Api, kind: str, name: str, namespace: str, *, optional: bool = False) -> dict[str, bytes]:
    """Return the content of a Secret or a ConfigMap. Raises NotThereError."""
    found = api.get("v1", kind, name, namespace)
    if found is None:
        if optional:
            return {}
        message = f"{kind} {namespace}/{name}"
        raise NotThereError(message)
    plain = {key: value.encode() for key, value in found.get("data", {}).items()}
    if kind == "Secret":
        return {key: base64.b64decode(value) for key, value in plain.items()}
    binary = cast("dict[str, str]", found.get("binaryData", {}))
    return plain | {key: base64.b64decode(value) for key, value in binary.items()}


def field(pod: Object, path: str) -> str:
    """Return a fact of a pod, by the path that the API has for it; empty where it has none."""
    section, _, rest = path.partition(".")
    if rest.endswith("']"):
        table, _, key = rest.partition("['")
        return str(pod[section].get(table, {}).get(key.removesuffix("']"), ""))
    return str(pod.get(section, {}).get(rest, ""))
