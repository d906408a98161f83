"""The controller of Envoy Gateway itself, where the chart's pods would be: with the chart's configuration, account and rights.

Run by `test_real_controllers.py` in network and mount namespaces of its own, for the controller listens on all addresses, and
reads its certificates from /certs.
"""

import base64
import fcntl
import json
import shutil
import socket
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pytest

from components.addons.envoy_gateway import CLASS_API, GATEWAY_CLASS, OWN_API, PROXY, proxy_spec
from rehearsal.cluster.api import Api, Object, has_condition, wait_until
from rehearsal.cluster.processes import ProcessTable, log_tail
from settings.addon_namespaces import ADDON_NAMESPACES
from tests.rehearsal.bare import Bare, bare_cluster
from tests.rehearsal.conftest import tools

pytestmark = pytest.mark.rehearsal

NAMESPACE: Final = ADDON_NAMESPACES["envoy-gateway"]
NAME: Final = "envoy-gateway"
CONFIG_MAP: Final = "envoy-gateway-config"
MODELS: Final = "llm-prod"
SECONDS: Final = 60.0
ADDONS: Final = {"gateway_api": "managed", "envoy_gateway": "managed", "kserve": "off"}
# Everything of the machine, and what a pod finds in its own root beside it: nothing is written to the machine's.
AS_A_POD: Final = """
set -eu
root=$1
mount -t tmpfs none "$root"
for path in /*; do
  if [ -L "$path" ]; then cp -P "$path" "$root$path"
  elif [ -d "$path" ]; then mkdir "$root$path"; mount --rbind "$path" "$root$path"
  fi
done
mkdir "$root/certs"
cp "$2"/* "$root/certs"
shift
exec chroot "$root" /bin/sh -euc '
  mount -t tmpfs none /var/run
  mkdir -p /var/run/secrets/kubernetes.io
  cp -R "$2" /var/run/secrets/kubernetes.io/serviceaccount
  shift 2
  exec "$@"
' sh "$@"
"""
SIOCGIFFLAGS: Final = 0x8913
SIOCSIFFLAGS: Final = 0x8914
IFF_UP: Final = 1


def _loopback_up() -> None:
    """A new network namespace has nothing but a loopback that is down."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sh14x", b"lo", 0)
        _, flags = struct.unpack("16sh14x", fcntl.ioctl(any_socket, SIOCGIFFLAGS, request))
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | IFF_UP))


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bare]:
    """A cluster with the charts of Envoy Gateway installed by `pulumi up`, and the controller."""
    _loopback_up()
    with bare_cluster(tmp_path_factory.mktemp("bare")) as cluster:
        cluster.stack("gateway", cluster.config(addons=ADDONS)).up()
        folder = tmp_path_factory.mktemp("controller")
        with cluster.api() as api:
            table = _start_controller(cluster, api, folder)
        try:
            yield cluster
        finally:
            table.stop_all()


def _start_controller(cluster: Bare, api: Api, folder: Path) -> ProcessTable:
    binary = str(tools().bin(NAME))
    table = ProcessTable(folder / "processes.json")
    environment = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "KUBECONFIG": str(cluster.layout.kubeconfig),
        "ENVOY_GATEWAY_NAMESPACE": NAMESPACE,
    }
    # What the chart's job does, whose pod is simulated.
    making = table.start(
        "certgen",
        [binary, "certgen", "--disable-topology-injector"],
        log=folder / "certgen.log",
        env=environment,
    )
    assert wait_until(lambda: not making.alive, seconds=SECONDS)
    secret = api.get("v1", "Secret", NAME, NAMESPACE)
    assert secret is not None, log_tail(folder / "certgen.log")
    certificates = folder / "certificates"
    certificates.mkdir()
    for name, value in secret["data"].items():
        (certificates / name).write_bytes(base64.b64decode(value))

    config = api.get("v1", "ConfigMap", CONFIG_MAP, NAMESPACE)
    assert config is not None
    (folder / "envoy-gateway.yaml").write_text(config["data"]["envoy-gateway.yaml"])
    root = folder / "root"
    root.mkdir()
    account = _account(cluster, api, folder / "account")
    command = ["/bin/sh", "-c", AS_A_POD, "sh", str(root), str(certificates), str(account)]
    command += [binary, "server", "--config-path", str(folder / "envoy-gateway.yaml")]
    host, port = urlsplit((cluster.layout.root / "server").read_text().strip()).netloc.split(":")
    environment |= {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}
    del environment["KUBECONFIG"]
    running = table.start(NAME, command, log=folder / "controller.log", env=environment)

    def accepted() -> bool:
        return has_condition(api.get(CLASS_API, "GatewayClass", GATEWAY_CLASS) or {}, "Accepted")

    found = wait_until(accepted, seconds=SECONDS, alive=[lambda: running.alive])
    assert found, (api.get(CLASS_API, "GatewayClass", GATEWAY_CLASS), log_tail(folder / "controller.log"))
    return table


def _account(cluster: Bare, api: Api, folder: Path) -> Path:
    """Write what a pod of the chart's account finds, so that the controller has the chart's rights and no others."""
    body: Object = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    answer = api._json(  # pyright: ignore[reportPrivateUsage]
        "POST",
        f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/{NAME}/token",
        content=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    folder.mkdir()
    (folder / "token").write_text(answer["status"]["token"])
    (folder / "namespace").write_text(NAMESPACE)
    shutil.copy(cluster.layout.pki / "ca.crt", folder / "ca.crt")
    return folder


@pytest.fixture
def api(bare: Bare) -> Iterator[Api]:
    with bare.api() as connection:
        yield connection


@pytest.fixture(scope="module")
def gateway(bare: Bare) -> Iterator[Object]:
    """A Gateway of the class, in the models' namespace."""
    document: Object = {
        "apiVersion": CLASS_API,
        "kind": "Gateway",
        "metadata": {"name": "api-gateway", "namespace": MODELS},
        "spec": {
            "gatewayClassName": GATEWAY_CLASS,
            "listeners": [{"name": "http", "port": 8080, "protocol": "HTTP"}],
        },
    }
    with bare.api() as api:
        api.apply(document)
        yield document


def _until(condition: str, look: Callable[[], Object | None]) -> Object:
    found: Object = {}

    def there() -> bool:
        found.clear()
        found.update(look() or {})
        return has_condition(found, condition)

    assert wait_until(there, seconds=SECONDS), found
    return found


def test_the_class_of_the_program_is_accepted_with_what_it_refers_to(api: Api) -> None:
    found = _until("Accepted", lambda: api.get(CLASS_API, "GatewayClass", GATEWAY_CLASS))
    assert found["spec"]["parametersRef"]["name"] == PROXY


def test_a_gateway_of_the_class_gets_the_proxies_that_the_program_describes(
    api: Api, gateway: Object
) -> None:
    name = gateway["metadata"]["name"]
    _until("Programmed", lambda: api.get(CLASS_API, "Gateway", name, MODELS))
    deployment = api.get("apps/v1", "Deployment", name, MODELS)
    assert deployment is not None
    pod = deployment["spec"]["template"]
    assert pod["metadata"]["annotations"]["ambient.istio.io/bypass-inbound-capture"] == "true"
    assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
    # The namespace of the models admits nothing less (the level `restricted`): the pods are there.
    assert deployment["status"]["readyReplicas"] == 1
    (envoy,) = [each for each in pod["spec"]["containers"] if each["name"] == "envoy"]
    described = proxy_spec(replicas=1)["provider"]["kubernetes"]["envoyDeployment"]["container"]["resources"]
    assert envoy["resources"]["limits"] == described["limits"]
    service = api.get("v1", "Service", name, MODELS)
    assert service is not None
    assert service["spec"]["type"] == "ClusterIP"
    assert [port["port"] for port in service["spec"]["ports"]] == [8080]


def test_what_the_program_says_of_several_proxies_is_understood(api: Api, gateway: Object) -> None:
    """As in staging and prod: two, over two zones, and a budget that lets one go at a time."""
    name = gateway["metadata"]["name"]
    _until("Programmed", lambda: api.get(CLASS_API, "Gateway", name, MODELS))
    api.apply(
        {
            "apiVersion": OWN_API,
            "kind": "EnvoyProxy",
            "metadata": {"name": PROXY, "namespace": NAMESPACE},
            "spec": proxy_spec(replicas=2),
        }
    )

    def two() -> bool:
        deployment = api.get("apps/v1", "Deployment", name, MODELS) or {}
        return deployment.get("status", {}).get("readyReplicas") == 2

    assert wait_until(two, seconds=SECONDS)
    budget = api.get("policy/v1", "PodDisruptionBudget", name, MODELS)
    assert budget is not None
    assert budget["spec"]["maxUnavailable"] == 1
    deployment = api.get("apps/v1", "Deployment", name, MODELS)
    assert deployment is not None
    (spread,) = deployment["spec"]["template"]["spec"]["topologySpreadConstraints"]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert spread["labelSelector"]["matchLabels"].items() <= labels.items()


def test_a_class_that_refers_to_nothing_is_refused(api: Api) -> None:
    """Else the first test would say less than it seems to."""
    wrong: Object = {
        "apiVersion": CLASS_API,
        "kind": "GatewayClass",
        "metadata": {"name": "wrong"},
        "spec": {
            "controllerName": "gateway.envoyproxy.io/gatewayclass-controller",
            "parametersRef": {
                "group": "gateway.envoyproxy.io",
                "kind": "EnvoyProxy",
                "name": "nothing",
                "namespace": NAMESPACE,
            },
        },
    }
    api.apply(wrong)

    def refused() -> bool:
        found = api.get(CLASS_API, "GatewayClass", "wrong") or {}
        conditions = found.get("status", {}).get("conditions", [])
        return any(c["type"] == "Accepted" and c["status"] == "False" for c in conditions)

    assert wait_until(refused, seconds=SECONDS)
