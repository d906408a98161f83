"""Calls of a gateway over the wire, and what is written about them."""

import json
from typing import Any

import httpx

from components.model_names import predictor_name
from tests.gateway.dataplane import DataPlane


def request(
    plane: DataPlane,
    method: str,
    path: str,
    token: str | None,
    **more: Any,  # noqa: ANN401
) -> httpx.Response:
    """Ask a gateway of one replica."""
    (url,) = plane.gateway_urls()
    headers = {**({} if token is None else {"Authorization": f"Bearer {token}"}), **more.pop("headers", {})}
    return httpx.request(method, f"{url}{path}", headers=headers, trust_env=False, timeout=30, **more)


def refused(answer: httpx.Response, status: int) -> dict[str, Any]:
    """Check that an answer is an error of the gateway's in OpenAI's form, and return it."""
    assert answer.status_code == status, answer.text
    error = json.loads(answer.text)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert answer.headers["content-type"] == "application/json"
    return error


def engine_line(plane: DataPlane, request_id: str, model: str) -> dict[str, Any]:
    """Return a model's line about a request."""
    found: list[dict[str, Any]] = []

    def there() -> bool:
        lines = [
            line
            for pod in plane.pods({"app": f"isvc.{predictor_name(model)}"})
            for log in pod.folder.rglob("*.log")
            for line in log.read_text("utf-8", errors="replace").splitlines()
            if line.startswith("{") and request_id in line
        ]
        found[:] = [json.loads(line) for line in lines]
        return bool(found)

    plane.until(f"a line about {request_id}", there)
    return found[0]


def gateway_lines(plane: DataPlane) -> list[dict[str, Any]]:
    """Return the lines of a gateway of one replica about its requests."""
    (proxy,) = plane.proxies()
    lines = (proxy.folder / "envoy.log").read_text("utf-8", errors="replace").splitlines()
    return [json.loads(line) for line in lines if line.startswith('{"') and '"service":"gateway"' in line]


def gateway_line(plane: DataPlane, request_id: str) -> dict[str, Any]:
    """Return the gateway's line about a request, which it writes in time."""
    found: list[dict[str, Any]] = []

    def there() -> bool:
        found[:] = [line for line in gateway_lines(plane) if line["request_id"] == request_id]
        return bool(found)

    plane.until(f"a line of the gateway about {request_id}", there)
    return found[0]
