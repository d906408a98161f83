"""The size of weights: our facts and our shape arithmetic against what is published."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from settings.facts import models
from settings.shapes import parts_on_one, weights_on_one

PUBLISHED: list[dict[str, Any]] = yaml.safe_load(
    (Path(__file__).resolve().parents[1] / "data" / "published_weights.yaml").read_text(encoding="utf-8")
)
GIB = 2**30

pytestmark = pytest.mark.unit


def _bytes(published: dict[str, Any]) -> int:
    return published.get("total_size") or published.get("files") or int(published["gib"] * GIB)


def _tolerance(published: dict[str, Any]) -> float:
    """Return what may differ: nothing; a header of about 100 bytes a tensor; half of the last digit."""
    if "total_size" in published:
        return 0
    return 0.0001 if "files" in published else 0.005 / published["gib"]


@pytest.mark.parametrize("published", PUBLISHED, ids=lambda published: published["model"])
def test_the_facts_are_the_published_size(published: dict[str, Any]) -> None:
    facts = models()[published["model"]]
    assert facts.weight_bytes == pytest.approx(_bytes(published), rel=_tolerance(published), abs=0)
    assert facts.source is not None


@pytest.mark.parametrize("published", PUBLISHED, ids=lambda published: published["model"])
def test_shapes_add_up_to_the_published_size(published: dict[str, Any]) -> None:
    """Norms and biases are left out, and nothing else: less than 0.1 %. A rounded size tells no more than its digits."""
    shapes = parts_on_one(models()[published["model"]], 1).total
    assert shapes == pytest.approx(_bytes(published), rel=max(0.001, _tolerance(published)))


def test_sizes_without_a_source_are_those_of_the_shapes() -> None:
    """GPTQ's group index a row is in the files, and not in what a GPU keeps."""
    known = {published["model"] for published in PUBLISHED}
    for name, facts in models().items():
        assert (facts.source is not None) is (name in known), name
        assert facts.weight_bytes == pytest.approx(parts_on_one(facts, 1).total, rel=0.01), name


def test_there_are_enough_published_sizes_and_each_says_where() -> None:
    assert len(PUBLISHED) >= 12
    for published in PUBLISHED:
        assert re.match(r"[\w./-]+/(?:blob|tree)/(?:main|[0-9a-f]{40})", published["at"])
        assert published["at"].startswith(published["model"])


def test_shares_of_gpus_add_up_to_a_little_more_than_the_whole() -> None:
    """What is copied to every GPU counts on each; nothing is lost."""
    for name, facts in models().items():
        for parallel in (2, 4, 8):
            together = parallel * weights_on_one(facts, parallel, whole_experts=bool(facts.experts))
            assert facts.weight_bytes <= together <= 1.03 * facts.weight_bytes, (name, parallel)
