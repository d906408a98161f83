"""A server on loopback that takes what AWS takes (moto), and clients that know no other address."""

from collections.abc import Callable, Iterator
from typing import Any, Final, cast

import boto3  # pyright: ignore[reportMissingTypeStubs] - has none
import httpx
import pytest
from botocore.config import Config  # pyright: ignore[reportMissingTypeStubs] - has none
from moto.server import ThreadedMotoServer

REGION: Final = "us-east-1"


@pytest.fixture(scope="session")
def _server() -> Iterator[ThreadedMotoServer]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def aws_endpoint(_server: ThreadedMotoServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """The server's address, empty at the start of each test; the shell's own AWS settings are out of reach."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    host, port = _server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)

    httpx.post(f"{endpoint}/moto-api/reset").raise_for_status()
    return endpoint


@pytest.fixture
def aws_client(aws_endpoint: str) -> Callable[[str], Any]:
    """Make a client of a service on the server."""
    config = Config(retries={"max_attempts": 0})
    make = cast("Any", boto3).client
    return lambda service: make(service, endpoint_url=aws_endpoint, config=config)
