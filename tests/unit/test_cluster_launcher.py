"""A kind is there when the server says so to whoever asks what it has, not only when its definition is in force."""

from typing import Any, cast

import pytest

from rehearsal.cluster.api import Api, ApiError
from rehearsal.cluster.launcher import established

pytestmark = pytest.mark.unit

PATH = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/things.example.io"


class FakeApi:
    """Answers with what stands at a path, or with a status."""

    def __init__(self, **found: Any) -> None:  # noqa: ANN401
        self.versions: dict[str, Any] = found

    def fetch(self, path: str) -> dict[str, Any]:
        if path == PATH:
            conditions = [{"type": "Established", "status": "True"}]
            versions = [{"name": "v1", "served": True}, {"name": "v0", "served": False}]
            spec = {"group": "example.io", "names": {"kind": "Thing"}, "versions": versions}
            return {"spec": spec, "status": {"conditions": conditions}}
        found = self.versions[path.removeprefix("/apis/example.io/")]
        if isinstance(found, int):
            raise ApiError(found, "not there")
        return {"resources": [{"kind": kind} for kind in found]}


def _established(**found: Any) -> bool:  # noqa: ANN401
    return established(cast("Api", FakeApi(**found)), PATH)


def test_a_kind_that_the_server_lists_is_there() -> None:
    assert _established(v1=["Other", "Thing"])


@pytest.mark.parametrize("found", [404, ["Other"]])
def test_a_kind_in_force_that_the_server_does_not_list_yet_is_not(found: Any) -> None:  # noqa: ANN401
    assert not _established(v1=found)


def test_another_answer_than_that_is_an_error() -> None:
    with pytest.raises(ApiError, match="403"):
        _established(v1=403)
