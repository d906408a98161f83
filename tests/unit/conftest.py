"""Unit tests reach no network, and share one cache of compiled packages."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_socket import disable_socket, enable_socket

from rehearsal.errors import UserError
from rehearsal.toolchain.golang import Go, find_go
from tests.unit.toolchain_project import TinyProject, tiny_project


@pytest.fixture(autouse=True)
def no_network() -> Iterator[None]:
    """A test that opens a network connection fails. Local sockets stay: event loops use them."""
    disable_socket(allow_unix_socket=True)
    yield
    enable_socket()


@pytest.fixture(scope="session")
def go() -> Go:
    """The Go compiler of the wheel."""
    try:
        return find_go()
    except UserError as error:
        pytest.skip(f"no Go compiler here: {error}")


@pytest.fixture(scope="session")
def go_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Go's own library, compiled once for all tests."""
    return tmp_path_factory.mktemp("go-build")


@pytest.fixture
def project(tmp_path: Path, go: Go, go_cache: Path, monkeypatch: pytest.MonkeyPatch) -> TinyProject:
    """An empty project in which a build of a tiny tool takes a second."""
    monkeypatch.setenv("VP_PULUMI", "built")
    return tiny_project(tmp_path, go, go_cache)
