"""A real Alertmanager on loopback with the program's configuration, and a server that takes what it sends.

In the place of a cluster: files with the Secrets' keys, and addresses of the server in them. Mail needs a mail server, so its
receiver is left out.
"""

import contextlib
import json
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

import httpx
import yaml

from components.addons.alertmanager import SECRETS_FOLDER
from rehearsal.cluster.api import wait_until
from rehearsal.cluster.launcher import free_ports
from rehearsal.cluster.processes import ProcessTable, log_tail
from rehearsal.toolchain import find_tools
from tests import loopback

CONFIG_FOLDER: Final = "/etc/alertmanager/config"
BRIDGE: Final = "http://bridge.monitoring.svc:8080/alerts"
SECONDS: Final = 30.0


@dataclass
class Mailbox:
    """What came, by the last part of the path that it came to: the kind of receiver, or its name."""

    came: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    def told(self, *words: str) -> set[str]:
        """Return who got a message with all of these words."""
        return {place for place, text in self.came if all(word in text for word in words)}

    def texts(self, place: str) -> list[str]:
        """Return what came to one place."""
        return [text for at, text in self.came if at == place]


@dataclass(frozen=True, kw_only=True)
class Alertmanager:
    """One that runs."""

    url: str
    mailbox: Mailbox

    def fire(self, *alerts: Mapping[str, Any]) -> None:
        """Hand it alerts, as Prometheus does. Each has `labels`, and `annotations` if it likes."""
        httpx.post(f"{self.url}/api/v2/alerts", json=list(alerts), trust_env=False).raise_for_status()

    def wait_for(self, wanted: set[str], *words: str) -> None:
        """Return once these and no others were told, with these words. Fails the test after a while."""
        assert wait_until(lambda: self.mailbox.told(*words) >= wanted, seconds=SECONDS), self.mailbox.came
        assert self.mailbox.told(*words) == wanted


def write_files(values: Mapping[str, Any], folder: Path) -> Path:
    """Write configuration and templates as the operator mounts them, but below a folder. Return the configuration's path."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in values["templateFiles"].items():
        (folder / name).write_text(text)
    # Where the chart says that templates are.
    config = {**values["config"], "templates": [f"{CONFIG_FOLDER}/*.tmpl"]}
    text = yaml.safe_dump(config, sort_keys=False)
    path = folder / "alertmanager.yml"
    path.write_text(text.replace(SECRETS_FOLDER, str(folder / "secrets")).replace(CONFIG_FOLDER, str(folder)))
    return path


@contextlib.contextmanager
def alertmanager(values: Mapping[str, Any], folder: Path) -> Generator[Alertmanager]:
    """Run one with these values of the chart."""
    mailbox = Mailbox()

    class Handler(loopback.Quiet):
        def do_POST(self) -> None:  # noqa: N802 - the name is the library's
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            mailbox.came.append((self.path.rpartition("/")[2], body))
            self.write(200, json.dumps({"status": "success"}).encode())

    with loopback.serving(Handler) as server:
        path = write_files(_on_loopback(values, server), folder)
        _write_secrets(yaml.safe_load(path.read_text()), server)
        with _running(path, folder) as url:
            yield Alertmanager(url=url, mailbox=mailbox)


def _on_loopback(values: Mapping[str, Any], server: str) -> dict[str, Any]:
    """Return the values with receivers that can be reached from here. PagerDuty's address is the program of PagerDuty's own."""
    text = json.dumps(values["config"]).replace(BRIDGE, f"{server}/bridge")
    config = cast("dict[str, Any]", json.loads(text))
    mail = {each["name"] for each in config["receivers"] if "email_configs" in each}
    config["receivers"] = [each for each in config["receivers"] if each["name"] not in mail]
    routes = config["route"]["routes"]
    config["route"]["routes"] = [each for each in routes if each["receiver"] not in mail]
    return {**values, "config": {**config, "global": {"pagerduty_url": f"{server}/pagerduty"}}}


def _write_secrets(config: Mapping[str, Any], server: str) -> None:
    for receiver, file in _secret_files(config):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{server}/{receiver}")


def _secret_files(config: Mapping[str, Any]) -> Iterator[tuple[str, Path]]:
    """Yield the receivers of a configuration that read a file, and which."""
    for receiver in cast("list[dict[str, Any]]", config["receivers"]):
        for kind in receiver.keys() - {"name"}:
            for key, value in receiver[kind][0].items():
                if key.endswith("_file"):
                    yield receiver["name"], Path(value)


@contextlib.contextmanager
def _running(config: Path, folder: Path) -> Generator[str]:
    (port,) = free_ports(1)
    url, log = f"http://127.0.0.1:{port}", folder / "alertmanager.log"
    command = [
        str(find_tools(("alertmanager",)).bin("alertmanager")),
        f"--config.file={config}",
        f"--storage.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        # Alone: it would look for others at all of the machine's addresses.
        "--cluster.listen-address=",
    ]
    table = ProcessTable(folder / "processes.json")
    running = table.start(
        "alertmanager", command, log=log, env={"PATH": "/usr/bin:/bin", "HOME": str(folder)}
    )

    def ready() -> bool:
        try:
            return httpx.get(f"{url}/-/ready", trust_env=False).is_success
        except httpx.TransportError:
            return False

    try:
        assert wait_until(ready, seconds=SECONDS, alive=[lambda: running.alive]), log_tail(log)
        yield url
    finally:
        table.stop_all()
