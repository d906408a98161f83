"""What the gateway adds to an answer: the same engine asked through it and past it, turn by turn. For `benchmarks`, which says where to.

Not a test of a time: it fails only where an answer does.
"""

import asyncio
import json
import os
from collections import defaultdict
from pathlib import Path
from statistics import median, quantiles
from typing import Any, Final
from urllib.parse import urlsplit

import pytest

from benchmarks.streams import CHAT, Load, load
from components.addons.envoy_gateway import CLASS_API
from rehearsal.definitions import define
from tests.gateway.calls import request
from tests.gateway.dataplane import MODELS, DataPlane
from tests.gateway.engine.behaviour import Behaviour
from tests.gateway.models import MODEL, VERSION_LABEL, add_version, sections, service, wait_for
from tests.gateway.tokens import AUDIENCE, ISSUER, Issuer
from tests.rehearsal.conftest import tools

OUT: Final = os.environ.get("VP_LATENCY_OUT", "")
pytestmark = [
    pytest.mark.gateway,
    pytest.mark.skipif(not OUT, reason="a measurement: `python -m benchmarks --only gateway` makes it"),
]

KEY: Final = Issuer("key")
CONSUMER: Final = "team-a"
TURNS: Final = int(os.environ.get("VP_LATENCY_TURNS", "6"))
WIDE: Final = "wide"
TOKENS: Final = 10
# By streams: questions of each in a turn, and milliseconds from token to token: about 1,600 tokens a second either way.
SIZES: Final = {64: (8, 40), 512: (2, 320)}
WITH: Final = "with"
WITHOUT: Final = "without"


def _sections() -> dict[str, Any]:
    key = {"kind": "local", "keys": [KEY.public()]}
    consumer = {"name": CONSUMER, "models": [MODEL], "requests_per_minute": 10_000_000}
    return {
        **sections(),
        "gateway": {
            "authentication": {"kind": "jwt", "issuer": ISSUER, "audiences": [AUDIENCE], "keys": key},
            "consumers": [consumer],
        },
    }


@pytest.fixture(scope="module")
def guarded(empty_plane: DataPlane) -> DataPlane:
    """A gateway with tokens, consumers, limits and its log, in front of an engine that takes all streams at once."""
    define(empty_plane.api, tools(), ["prometheus-definitions"])
    empty_plane.stack("gateway", _sections()).up()
    empty_plane.programmed()
    wait_for(empty_plane, "", 1)
    add_version(empty_plane, WIDE, max_num_seqs=max(SIZES))
    wait_for(empty_plane, WIDE, 1)
    return empty_plane


def test_what_the_gateway_adds_to_an_answer(guarded: DataPlane) -> None:
    (engine,) = guarded.pods({VERSION_LABEL: WIDE})
    _lead_to_it(guarded)
    guarded.until("the gateway answers", lambda: _answers(guarded))
    (gateway,) = map(urlsplit, guarded.gateway_urls())
    found: defaultdict[str, list[float]] = defaultdict(list)
    ways: dict[str, dict[str, Any]] = {
        WITHOUT: {"host": engine.address, "port": 8000, "path": CHAT},
        WITH: {"host": gateway.hostname, "port": gateway.port, "path": f"/{MODEL}{CHAT}"},
    }
    for streams, (each, pace) in SIZES.items():
        guarded.behave(Behaviour(between_tokens_seconds=pace / 1000), {VERSION_LABEL: WIDE})
        for turn in range(-1, TURNS):
            for name in (WITHOUT, WITH) if turn % 2 == 0 else (WITH, WITHOUT):
                token = KEY.token(sub=CONSUMER)
                seen = _ask(
                    streams, each, pace, {**ways[name], "headers": {"authorization": f"Bearer {token}"}}
                )
                if turn >= 0:
                    # The first turn warms.
                    found[f"first_{streams}_{name}"].append(median(seen.firsts))
                    found[f"first_p99_{streams}_{name}"].append(quantiles(seen.firsts, n=100)[-1])
                    found[f"gap_p99_{streams}_{name}"].append(seen.worst_gap)
    Path(OUT).write_text(json.dumps(found), encoding="utf-8")


def _lead_to_it(plane: DataPlane) -> None:
    """Let the program's own route lead to the engine that takes all streams."""
    route = plane.api.get(CLASS_API, "HTTPRoute", MODEL, MODELS)
    assert route is not None
    (rule,) = route["spec"]["rules"]
    rule["backendRefs"] = [{"name": service(WIDE), "port": 80}]
    meta = {"name": MODEL, "namespace": MODELS}
    plane.api.apply({"apiVersion": CLASS_API, "kind": "HTTPRoute", "metadata": meta, "spec": route["spec"]})


def _ask(streams: int, each: int, pace: int, way: dict[str, Any]) -> Load:
    body: dict[str, Any] = {"model": MODEL, "messages": [], "max_tokens": TOKENS, "stream": True}
    return asyncio.run(load(body=body, streams=streams, each=each, spread=TOKENS * pace / 1000, **way))


def _answers(plane: DataPlane) -> bool:
    body: dict[str, Any] = {"model": MODEL, "messages": [], "max_tokens": 1}
    answer = request(plane, "POST", f"/{MODEL}{CHAT}", KEY.token(sub=CONSUMER), json=body)
    return answer.status_code == 200 and answer.json()["system_fingerprint"].startswith(f"{WIDE}/")
