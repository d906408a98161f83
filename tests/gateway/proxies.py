"""What the gateway's Envoys have: their configuration as they hold it, and their own counters."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, cast

import httpx

from tests.gateway.pod import Pod

ADMIN: Final = "http://127.0.0.1:19000"
STATS_PORT: Final = 19001
SECONDS: Final = 10.0
# The admin's port is open to the pod itself only.
_READ: Final = (
    "import sys, urllib.request; sys.stdout.buffer.write(urllib.request.urlopen(sys.argv[1]).read())"
)
_SAMPLE: Final = re.compile(r"(?P<name>[a-zA-Z_:][\w:]*)(?:\{(?P<labels>.*)\})? (?P<value>\S+)")
_LABEL: Final = re.compile(r'(\w+)="([^"]*)"')


def backend_weights(proxy: Pod, route: str) -> dict[int, int]:
    """Return the weight of each backend of a route's first rule that has endpoints, by its place in the route.

    Where each backend has endpoints, or none has a weight: their weights are those of the localities of one cluster. Where
    one has none, its share is sent to a cluster that does not exist, and is not in here.
    """
    rule = f"/{route}/rule/0"
    found: dict[int, int] = {}
    for config in _config(proxy):
        for each in config.get("dynamic_endpoint_configs", []):
            assignment = each["endpoint_config"]
            if rule not in assignment.get("cluster_name", ""):
                continue
            localities = cast("list[dict[str, Any]]", assignment.get("endpoints") or [])
            for locality in localities:
                backend = int(locality["locality"]["region"].rpartition("/")[2])
                found[backend] = locality["load_balancing_weight"]
    return found


def routes_answer_by_themselves(proxy: Pod, route: str) -> bool:
    """Whether a proxy answers a route's requests itself, for there is no endpoint at all."""
    found = [each for each in _routes(proxy) if f"/{route}/rule/0" in each.get("name", "")]
    return bool(found) and all("direct_response" in each for each in found)


def _routes(proxy: Pod) -> Iterator[Mapping[str, Any]]:
    for config in _config(proxy):
        for each in config.get("dynamic_route_configs", []):
            for host in each["route_config"].get("virtual_hosts", []):
                yield from host["routes"]


def _config(proxy: Pod) -> Sequence[Mapping[str, Any]]:
    command = [*proxy.network.enter, sys.executable, "-c", _READ, f"{ADMIN}/config_dump?include_eds"]
    done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False)
    # A proxy that starts or ends has no configuration.
    return cast("list[Any]", json.loads(done.stdout)["configs"]) if done.returncode == 0 else []


def counters(proxy: Pod, name: str) -> list[tuple[dict[str, str], float]]:
    """Return labels and value of each series of a metric, as Prometheus would read them."""
    answer = httpx.get(
        f"http://{proxy.address}:{STATS_PORT}/stats/prometheus", trust_env=False, timeout=SECONDS
    )
    answer.raise_for_status()
    samples = (_SAMPLE.fullmatch(line) for line in answer.text.splitlines() if line.startswith(name))
    return [
        (dict(_LABEL.findall(sample["labels"] or "")), float(sample["value"]))
        for sample in samples
        if sample is not None and sample["name"] == name
    ]
