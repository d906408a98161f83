"""The small engine of the gateway's tests shows metrics as the real one does: else what is built on them is built on sand."""

from typing import Final

import httpx
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from settings.models import Model
from tests.gateway.engine.metrics import Metrics
from tests.image.conftest import PodEngine

pytestmark = pytest.mark.image

# A bucket is a series of its own; which ones there are is what their label says.
BUCKET: Final = "le"


def _shape(text: str) -> dict[str, tuple[str, frozenset[str], tuple[str, ...]]]:
    """Return type, names of labels and bounds of buckets of each metric of vLLM's."""
    families = [family for family in text_string_to_metric_families(text) if family.name.startswith("vllm:")]
    return {
        family.name: (
            family.type,
            frozenset(name for sample in family.samples for name in sample.labels if name != BUCKET),
            tuple(dict.fromkeys(s.labels[BUCKET] for s in family.samples if BUCKET in s.labels)),
        )
        for family in families
        if not family.name.endswith("_created")
    }


def test_its_metrics_are_a_part_of_the_real_one_s(pod_engine: PodEngine, chat_model: Model) -> None:
    registry = CollectorRegistry()
    Metrics(chat_model.name, chat_model.engine.max_model_len, registry)
    ours = _shape(generate_latest(registry).decode())
    real = _shape(httpx.get(pod_engine.metrics_url, trust_env=False, timeout=30).text)
    assert len(ours) > 10
    assert ours == {name: real.get(name) for name in ours}
