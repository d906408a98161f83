"""Every module of this folder runs in namespaces of its own (`isolated`), with a data plane that its tests share."""

from collections.abc import Iterator

import pytest

from rehearsal.definitions import define
from tests.gateway.dataplane import DataPlane, data_plane
from tests.gateway.isolated import pytest_runtest_makereport, pytest_runtest_protocol
from tests.gateway.models import sections, wait_for
from tests.order import longest_first
from tests.rehearsal.conftest import tools

__all__ = ["pytest_runtest_makereport", "pytest_runtest_protocol"]

LONGEST = ("test_rollout", "test_limits", "test_traces", "test_tokens", "test_weights", "test_replicas")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest."""
    longest_first(items, LONGEST)


@pytest.fixture(scope="module")
def empty_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DataPlane]:
    """A data plane with nothing deployed."""
    with data_plane(tmp_path_factory.mktemp("plane")) as made:
        yield made


@pytest.fixture(scope="module")
def plane(empty_plane: DataPlane) -> DataPlane:
    """A data plane with Envoy Gateway, a Gateway and one model with its route, all by `pulumi up`."""
    define(empty_plane.api, tools(), ["prometheus-definitions"])
    empty_plane.stack("gateway", sections()).up()
    empty_plane.programmed()
    wait_for(empty_plane, "", 1)
    return empty_plane
