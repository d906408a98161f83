"""A thin client of the Kubernetes API over mutual TLS.

It speaks plain JSON and sends manifests as the bytes they are stored in: KServe's CRDs are 2.4 MB of YAML, which the API server parses in a tenth of
the time that a Python client library needs to read and rewrite them.
"""

import json
import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self, cast

import httpx

from rehearsal.errors import UserError

FIELD_MANAGER = "vllm-platform-rehearsal"
BUSY_ATTEMPTS = 10
LONGEST_PAUSE_SECONDS = 2.0
# On a machine with too much to do an answer may be late. What is asked twice has the effect of once, but for a creation.
ANSWER_SECONDS = 30.0
LATE_ATTEMPTS = 3
# Late, or on a connection that had been kept and ended just then.
_AGAIN = (httpx.ReadTimeout, httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)
Object = dict[str, Any]

# Plural names of the kinds that the rehearsal itself writes or reads; discovery would cost a request per group at each start.
_PLURALS = {
    "APIService": "apiservices",
    "BackendTrafficPolicy": "backendtrafficpolicies",
    "ClusterRole": "clusterroles",
    "ClusterRoleBinding": "clusterrolebindings",
    "ConfigMap": "configmaps",
    "CustomResourceDefinition": "customresourcedefinitions",
    "DaemonSet": "daemonsets",
    "Deployment": "deployments",
    "EndpointSlice": "endpointslices",
    "EnvoyProxy": "envoyproxies",
    "FlowSchema": "flowschemas",
    "Gateway": "gateways",
    "GatewayClass": "gatewayclasses",
    "HTTPRoute": "httproutes",
    "HorizontalPodAutoscaler": "horizontalpodautoscalers",
    "InferenceService": "inferenceservices",
    "Job": "jobs",
    "MutatingWebhookConfiguration": "mutatingwebhookconfigurations",
    "Namespace": "namespaces",
    "NetworkPolicy": "networkpolicies",
    "Node": "nodes",
    "Pod": "pods",
    "PodDisruptionBudget": "poddisruptionbudgets",
    "PodMonitor": "podmonitors",
    "Role": "roles",
    "RoleBinding": "rolebindings",
    "ScaledObject": "scaledobjects",
    "Secret": "secrets",
    "Service": "services",
    "ServiceAccount": "serviceaccounts",
    "StatefulSet": "statefulsets",
    "ValidatingAdmissionPolicy": "validatingadmissionpolicies",
    "ValidatingAdmissionPolicyBinding": "validatingadmissionpolicybindings",
    "ValidatingWebhookConfiguration": "validatingwebhookconfigurations",
}


class ApiError(UserError):
    """The API server refused a request. `code` is the HTTP status, `message` the server's own words."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"the API server answered {code}: {message}")
        self.code = code
        self.message = message


class UnansweredError(UserError):
    """The API server gave no answer: it is gone, or the machine is too busy for it."""

    def __init__(self, method: str, path: str, error: httpx.TransportError) -> None:
        reason = str(error) or type(error).__name__
        super().__init__(
            f"the API server gave no answer to {method} {path} ({reason}): it ended, or this machine is too busy for it. "
            "`vp cluster status` says which; the same command again goes on from here."
        )


def resource_path(api_version: str, kind: str, namespace: str | None, name: str | None = None) -> str:
    """The URL path of an object, or of the collection when `name` is None."""
    base = f"/api/{api_version}" if "/" not in api_version else f"/apis/{api_version}"
    scope = f"/namespaces/{namespace}" if namespace else ""
    return f"{base}{scope}/{_PLURALS[kind]}" + (f"/{name}" if name else "")


class Api:
    """One connection pool to one API server. Use it as a context manager."""

    def __init__(self, server: str, *, ca: Path, cert: Path, key: Path) -> None:

        context = ssl.create_default_context(cafile=str(ca))
        context.load_cert_chain(cert, key)
        self._http = httpx.Client(
            base_url=server,
            verify=context,
            timeout=ANSWER_SECONDS,
            trust_env=False,
            limits=httpx.Limits(max_connections=16),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def ready(self, path: str = "/readyz") -> bool:
        """Whether the server answers and says that it is ready."""
        try:
            return self._http.get(path, timeout=2.0).status_code == HTTPStatus.OK
        except httpx.TransportError:
            return False

    def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> Object | None:
        """The object, or None if there is none of this name."""
        try:
            return self._json("GET", resource_path(api_version, kind, namespace, name))
        except ApiError as error:
            if error.code == HTTPStatus.NOT_FOUND:
                return None
            raise

    def version(self) -> str:
        """The server's version, such as v1.36.3."""
        return str(self._json("GET", "/version")["gitVersion"])

    def fetch(self, path: str) -> Object:
        """The object at a URL path. Raises ApiError."""
        return self._json("GET", path)

    def list(
        self, api_version: str, kind: str, namespace: str | None = None, labels: str = ""
    ) -> list[Object]:
        """All objects of a kind, of one namespace or of all, optionally by label selector."""
        answer = self._json(
            "GET",
            resource_path(api_version, kind, namespace),
            params={"labelSelector": labels} if labels else None,
        )
        return cast("list[Object]", answer.get("items", []))

    def create(self, obj: Object) -> Object:
        """POST an object. Fields of `status` are kept where the API keeps them on creation (nodes)."""
        meta = obj["metadata"]
        return self._json(
            "POST", resource_path(obj["apiVersion"], obj["kind"], meta.get("namespace")), json=obj
        )

    def apply(self, obj: Object) -> Object:
        """Server-side apply of one object, with strict field validation."""
        meta = obj["metadata"]
        return self.apply_bytes(
            resource_path(obj["apiVersion"], obj["kind"], meta.get("namespace"), meta["name"]),
            json_bytes(obj),
        )

    def apply_bytes(self, path: str, body: bytes) -> Object:
        """Server-side apply of a manifest as it is stored, YAML or JSON."""
        params = {"fieldManager": FIELD_MANAGER, "force": "true", "fieldValidation": "Strict"}
        return self._json(
            "PATCH",
            path,
            params=params,
            content=body,
            headers={"Content-Type": "application/apply-patch+yaml"},
        )

    def delete(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> None:
        """Delete an object; one that is gone already is no error."""
        try:
            self._json("DELETE", resource_path(api_version, kind, namespace, name))
        except ApiError as error:
            if error.code != HTTPStatus.NOT_FOUND:
                raise

    def _json(self, method: str, path: str, **kwargs: Any) -> Object:  # noqa: ANN401 - passed on to httpx as it is
        response = self._patiently(method, path, **kwargs)
        if response.is_success:
            return cast("Object", response.json())
        try:
            message = str(response.json().get("message", response.text))
        except ValueError:
            message = response.text
        raise ApiError(response.status_code, message)

    def _patiently(self, method: str, path: str, **kwargs: Any) -> httpx.Response:  # noqa: ANN401 - as above
        """Ask again where the server asks for patience: it is busy, or a new kind has no storage yet. Both are over in seconds."""
        for _ in range(BUSY_ATTEMPTS):
            response = self._answer(method, path, **kwargs)
            if response.status_code != HTTPStatus.TOO_MANY_REQUESTS:
                return response
            time.sleep(min(float(response.headers.get("Retry-After", 1)), LONGEST_PAUSE_SECONDS))
        return self._answer(method, path, **kwargs)

    def _answer(self, method: str, path: str, **kwargs: Any) -> httpx.Response:  # noqa: ANN401 - as above
        """Wait for an answer, more than once where that is harmless. Raises UnansweredError."""
        left = 1 if method == "POST" else LATE_ATTEMPTS
        while True:
            left -= 1
            try:
                return self._http.request(method, path, **kwargs)
            except httpx.TransportError as error:
                if not (left and isinstance(error, _AGAIN)):
                    raise UnansweredError(method, path, error) from error


def conditions(obj: Object) -> list[dict[str, str]]:
    """An object's status conditions; the API writes null where there are none yet."""
    return cast("list[dict[str, str]]", obj.get("status", {}).get("conditions") or [])


def has_condition(obj: Object, kind: str) -> bool:
    """Whether a condition of an object is True."""
    return any(c["type"] == kind and c["status"] == "True" for c in conditions(obj))


def json_bytes(value: Mapping[str, Any]) -> bytes:
    """An object as it is sent."""
    return json.dumps(value).encode()


def wait_until(
    condition: Callable[[], bool],
    *,
    seconds: float,
    every: float = 0.05,
    alive: Iterable[Callable[[], bool]] = (),
) -> bool:
    """Poll until the condition holds. False when the time is over, or at once when one of `alive` no longer holds."""
    deadline = time.monotonic() + seconds
    checks = list(alive)
    while time.monotonic() < deadline:
        if condition():
            return True
        if not all(check() for check in checks):
            return False
        time.sleep(every)
    return False
