"""A real Prometheus on the node's loopback. It finds its targets at the API server, as the operator's would."""

import contextlib
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Final

from rehearsal.cluster.api import Object
from rehearsal.cluster.layout import ClusterLayout
from tests import live_prometheus
from tests.gateway.scrape import scrape_configs
from tests.live_prometheus import Prometheus

INTERVAL: Final = "1s"


@contextlib.contextmanager
def prometheus(layout: ClusterLayout, monitors: Sequence[Object], folder: Path) -> Generator[Prometheus]:
    """Run one that scrapes what these PodMonitors ask for, every second."""
    folder.mkdir()
    pki = layout.pki
    discovery = {
        "api_server": (layout.root / "server").read_text().strip(),
        "tls_config": {
            "ca_file": str(pki / "ca.crt"),
            "cert_file": str(pki / "admin.crt"),
            "key_file": str(pki / "admin.key"),
        },
    }
    jobs = [job for monitor in monitors for job in scrape_configs(monitor, discovery, INTERVAL)]
    with live_prometheus.prometheus({"scrape_configs": jobs}, folder) as made:
        yield made
