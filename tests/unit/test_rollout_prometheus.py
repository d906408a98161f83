"""The client of Prometheus: what it makes of every answer."""

import json
from collections.abc import Iterator, Mapping

import pytest

from ops.rollout import prometheus
from ops.rollout.prometheus import Prometheus, PrometheusError, at_address

pytestmark = pytest.mark.unit


def answering(body: bytes) -> Prometheus:
    def get(_: str, __: Mapping[str, str]) -> Iterator[bytes]:
        yield body

    return Prometheus(get)


def vector(*series: tuple[dict[str, str], str]) -> bytes:
    result = [{"metric": labels, "value": [1.5, value]} for labels, value in series]
    return json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}}).encode()


def test_series_come_with_labels_and_values_and_nan_is_none() -> None:
    found = answering(vector(({"le": "0.1"}, "12.5"), ({"le": "1"}, "NaN"), ({"le": "+Inf"}, "+Inf"))).ask(
        "x"
    )
    assert [(sample.labels["le"], sample.value) for sample in found] == [
        ("0.1", 12.5),
        ("+Inf", float("inf")),
    ]
    assert answering(vector()).ask("x") == []


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"status": "error", "error": "query timed out"}', "query timed out"),
        (b"<html>gateway</html>", "no JSON: '<html>"),
        (b"[]", "no JSON object"),
        (b'{"status": "success", "data": {"resultType": "matrix", "result": []}}', "type matrix"),
        (b'{"status": "success", "data": {"resultType": "vector", "result": [{}]}}', "not of the form"),
        (b'{"status": "success"}', "refused"),
        (b'{"kind": "Status", "message": "services is forbidden"}', "services is forbidden"),
    ],
)
def test_whatever_else_comes_is_told(body: bytes, message: str) -> None:
    with pytest.raises(PrometheusError, match=message):
        answering(body).ask("x")


def test_an_endless_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def get(_: str, __: Mapping[str, str]) -> Iterator[bytes]:
        while True:
            yield b" " * 1024

    monkeypatch.setattr(prometheus, "ANSWER_BYTES", 10_000)
    with pytest.raises(PrometheusError, match="an answer of more than"):
        Prometheus(get).ask("x")


@pytest.mark.parametrize("url", ["nonsense", "http://"])
def test_an_address_that_is_none_is_told(url: str) -> None:
    with pytest.raises(PrometheusError, match="does not answer"):
        Prometheus(at_address(url)).ask("x")
