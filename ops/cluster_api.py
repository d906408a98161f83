"""Looks at a cluster through its API server, with whatever way to log in its kubeconfig has."""

import json
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, cast

from rehearsal.errors import UserError

CONNECT_SECONDS: Final = 5.0
READ_SECONDS: Final = 15.0
_CHUNK_BYTES: Final = 65536


class ClusterError(UserError):
    """The cluster did not answer. The text says why, without what a kubeconfig holds."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """An object as it was at `at`, by the API server's own clock; None where there is none."""

    content: Mapping[str, Any] | None
    at: datetime


class ClusterApi:
    """One login to one API server."""

    def __init__(self, kubeconfig: Path | None, context: str | None) -> None:
        """Log in. None: as `kubectl` would. Raises ClusterError."""
        # Its import takes most of a second, and most commands do not need it.
        from kubernetes import client, config  # noqa: PLC0415
        from kubernetes.config.config_exception import ConfigException  # noqa: PLC0415
        from yaml import YAMLError  # noqa: PLC0415

        shown = kubeconfig or "of the environment"
        options = client.Configuration()
        options.retries = 0
        try:
            # Half of its functions have types.
            self._client = cast("Any", config).new_client_from_config(
                None if kubeconfig is None else str(kubeconfig), context, client_configuration=options
            )
        except (YAMLError, TypeError):
            # The parser's own words would show what the file holds.
            raise ClusterError(f"the kubeconfig {shown} can not be read: it is no kubeconfig") from None
        except ConfigException as error:
            raise ClusterError(f"the kubeconfig {shown} can not be used: {error}") from None

    def get(self, path: str, parameters: Mapping[str, str] | None = None) -> Seen:
        """Return the object at a URL path. Raises ClusterError."""
        with self._request("GET", path, parameters or {}) as response:
            body = b"".join(_pieces(response))
            date = response.headers.get("date")
            at = parsedate_to_datetime(date) if date else datetime.now(tz=UTC)
            if response.status == HTTPStatus.NOT_FOUND:
                return Seen(content=None, at=at)
            if response.status != HTTPStatus.OK:
                raise ClusterError(f"the API server answered {response.status} to {path}: {_message(body)}")
            return Seen(content=json.loads(body), at=at)

    def delete(self, path: str) -> None:
        """Delete the object at a URL path, and what it owns; none there is no error. Raises ClusterError."""
        with self._request("DELETE", path, {"propagationPolicy": "Background"}) as response:
            body = b"".join(_pieces(response))
            if response.status not in {HTTPStatus.OK, HTTPStatus.ACCEPTED, HTTPStatus.NOT_FOUND}:
                raise ClusterError(f"the API server answered {response.status} to {path}: {_message(body)}")

    def stream(self, path: str, parameters: Mapping[str, str]) -> Iterator[bytes]:
        """Yield the body of whatever answers at a path, of whatever status: a service behind the API server. Raises ClusterError."""
        with self._request("GET", path, parameters) as response:
            yield from _pieces(response)

    @contextmanager
    def _request(self, method: str, path: str, parameters: Mapping[str, str]) -> Generator[Any]:
        from kubernetes.client.exceptions import ApiException  # noqa: PLC0415
        from urllib3.exceptions import HTTPError  # noqa: PLC0415

        request = self._client.param_serialize(
            method, path, query_params=list(parameters.items()), auth_settings=["BearerToken"]
        )
        try:
            answer = self._client.call_api(*request, _request_timeout=(CONNECT_SECONDS, READ_SECONDS))
            try:
                yield answer.response
            finally:
                answer.response.release_conn()
        except (HTTPError, ApiException, OSError) as error:
            raise ClusterError(f"the API server does not answer: {error}") from None


def _pieces(response: Any) -> Iterator[bytes]:  # noqa: ANN401 - of a package without types
    yield from response.stream(_CHUNK_BYTES)


def _message(body: bytes) -> str:
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return body[:200].decode(errors="replace")
