"""Counters of the image's middleware by consumer: whom the gateway names, and of not more of them than Prometheus should hold."""

from collections.abc import Iterator
from typing import Final

import pytest
from vllm_platform_middleware import metrics
from vllm_platform_middleware.record import RequestRecord

pytestmark = pytest.mark.unit

RECORD: Final = RequestRecord(
    timestamp="",
    service="chat",
    request_id="0",
    trace_id=None,
    user_id="alice",
    model="chat",
    endpoint="/v1/chat/completions",
    prompt_tokens=7,
    completion_tokens=3,
    total_time_ms=1.0,
    time_to_first_token_ms=None,
    status_code=200,
    stream=False,
    finish_reason="stop",
    client_disconnected=False,
)


@pytest.fixture(autouse=True)
def nobody_yet() -> Iterator[None]:
    """Counters of no consumer, before and after."""
    _forget()
    yield
    _forget()


def _forget() -> None:
    metrics.CONSUMER_REQUESTS.clear()
    metrics.CONSUMER_TOKENS.clear()
    metrics.named.clear()


def counted(counter: metrics.Counter) -> dict[tuple[str, ...], float]:
    (family,) = counter.collect()
    return {
        tuple(sample.labels.values()): sample.value
        for sample in family.samples
        if sample.name.endswith("_total")
    }


def test_requests_and_tokens_are_counted_by_whom_the_gateway_named() -> None:
    metrics.count(RECORD, "1")
    metrics.count(RECORD._replace(status_code=404, prompt_tokens=None, completion_tokens=None), "1")
    metrics.count(RECORD._replace(user_id=None), "1")
    assert counted(metrics.CONSUMER_REQUESTS) == {
        ("alice", "200"): 1,
        ("alice", "404"): 1,
        ("nobody", "200"): 1,
    }
    assert counted(metrics.CONSUMER_TOKENS) == {
        ("alice", "prompt"): 7,
        ("alice", "completion"): 3,
        ("nobody", "prompt"): 7,
        ("nobody", "completion"): 3,
    }


def test_a_request_s_trace_is_the_exemplar_of_the_counter_that_counts_it() -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    metrics.REQUESTS.clear()
    metrics.count(RECORD._replace(trace_id=trace), "1")
    (family,) = metrics.REQUESTS.collect()
    (sample,) = [sample for sample in family.samples if sample.name.endswith("_total")]
    assert sample.exemplar is not None
    assert sample.exemplar.labels == {"trace_id": trace}


def test_of_more_consumers_than_there_may_be_the_later_ones_are_one() -> None:
    for number in range(metrics.CONSUMERS + 5):
        metrics.count(RECORD._replace(user_id=f"user-{number}"), "1")
    metrics.count(RECORD._replace(user_id="user-0"), "1")
    found = counted(metrics.CONSUMER_REQUESTS)
    assert len(found) == metrics.CONSUMERS + 1
    assert found["other", "200"] == 5
    assert found["user-0", "200"] == 2
