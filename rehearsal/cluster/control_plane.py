"""Command lines of the control plane's processes: etcd, API server, controller manager, scheduler. Pure: nothing is started here."""

import base64
import json
from dataclasses import dataclass
from pathlib import Path

from rehearsal.cluster.pki import Authority, KeyPair, signing_key, write_private

LOOPBACK = "127.0.0.1"
# The first address of the range is the API server's own Service, so it must be in its certificate.
SERVICE_RANGE = "10.96.0.0/16"
API_SERVICE_ADDRESS = "10.96.0.1"
SERVICE_ACCOUNT_ISSUER = "https://kubernetes.default.svc.cluster.local"
# Requests per second that one simulated cluster's controllers may send. The defaults (20 / 30) hold back hundreds of pods for minutes.
CLIENT_QPS = 200
CLIENT_BURST = 400
# EKS allows 10-15 s; a rehearsal shows the autoscaler's first step sooner and changes nothing else.
HPA_SYNC_PERIOD = "3s"

KUBE_SYSTEM = "kube-system"
KWOK_ACCOUNT = "kwok-controller"
KSERVE_NAMESPACE = "kserve"
KSERVE_ACCOUNT = "kserve-controller-manager"
KEDA_NAMESPACE = "keda"
KEDA_ACCOUNT = "keda-operator"
KEDA_METRICS = "keda-metrics-apiserver"
# Whom the API server is to the servers behind it, such as KEDA's: in its name they are told who asks.
FRONT_PROXY = "front-proxy"


@dataclass(frozen=True)
class Ports:
    """Free TCP ports on loopback, chosen when the cluster starts."""

    etcd: int
    etcd_peer: int
    api: int
    kserve_webhook: int
    kserve_health: int

    @property
    def server(self) -> str:
        """Address of the API server."""
        return f"https://{LOOPBACK}:{self.api}"


@dataclass(frozen=True, kw_only=True)
class Identities:
    """Every certificate of the cluster. Each process has a user of its own, so that RBAC is rehearsed too."""

    ca: Path
    api_server: KeyPair
    etcd: KeyPair
    api_to_etcd: KeyPair
    admin: KeyPair
    controller_manager: KeyPair
    scheduler: KeyPair
    kwok: KeyPair
    kserve: KeyPair
    kserve_webhook: KeyPair
    keda: KeyPair
    keda_server: KeyPair
    front_proxy: KeyPair
    service_accounts: KeyPair


def issue_identities(folder: Path, cluster: str) -> Identities:
    """Create the authority and all certificates below `folder`."""
    authority = Authority(folder, f"vllm-platform rehearsal {cluster}")
    service = (
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
    )
    return Identities(
        ca=authority.cert_path,
        api_server=authority.server("api-server", service, (LOOPBACK, API_SERVICE_ADDRESS)),
        etcd=authority.server("etcd"),
        api_to_etcd=authority.client("api-to-etcd", user="kube-apiserver"),
        admin=authority.client("admin", user="rehearsal-admin", groups=["system:masters"]),
        controller_manager=authority.client("controller-manager", user="system:kube-controller-manager"),
        scheduler=authority.client("scheduler", user="system:kube-scheduler"),
        kwok=_service_account(authority, "kwok", KUBE_SYSTEM, KWOK_ACCOUNT),
        kserve=_service_account(authority, "kserve", KSERVE_NAMESPACE, KSERVE_ACCOUNT),
        kserve_webhook=authority.server("kserve-webhook"),
        keda=_service_account(authority, "keda", KEDA_NAMESPACE, KEDA_ACCOUNT),
        keda_server=authority.server("keda-server", (f"{KEDA_METRICS}.{KEDA_NAMESPACE}.svc",)),
        front_proxy=authority.client(FRONT_PROXY, user=FRONT_PROXY),
        service_accounts=signing_key(folder),
    )


def _service_account(authority: Authority, name: str, namespace: str, account: str) -> KeyPair:
    """In a cluster these controllers run as service accounts; the same user name makes their own RBAC manifests apply unchanged."""
    groups = ["system:serviceaccounts", f"system:serviceaccounts:{namespace}"]
    return authority.client(name, user=f"system:serviceaccount:{namespace}:{account}", groups=groups)


def etcd(binary: Path, data: Path, ports: Ports, ids: Identities) -> list[str]:
    """Etcd with TLS in both directions, on loopback."""
    client, peer = f"https://{LOOPBACK}:{ports.etcd}", f"https://{LOOPBACK}:{ports.etcd_peer}"
    return [
        str(binary),
        "--name=rehearsal",
        f"--data-dir={data}",
        "--log-level=warn",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=rehearsal={peer}",
        f"--cert-file={ids.etcd.cert}",
        f"--key-file={ids.etcd.key}",
        f"--trusted-ca-file={ids.ca}",
        "--client-cert-auth",
        f"--peer-cert-file={ids.etcd.cert}",
        f"--peer-key-file={ids.etcd.key}",
        f"--peer-trusted-ca-file={ids.ca}",
        "--peer-client-cert-auth",
        # A rehearsal's data is worth nothing after a power cut; waiting for the disk at each write is most of a laptop's start time.
        "--unsafe-no-fsync",
    ]


def api_server(binary: Path, ports: Ports, ids: Identities) -> list[str]:
    """The API server with RBAC, verified clients and no anonymous access."""
    return [
        str(binary),
        f"--bind-address={LOOPBACK}",
        f"--secure-port={ports.api}",
        f"--advertise-address={LOOPBACK}",
        # A loopback address is no valid endpoint of the Service `kubernetes`, and nothing in a simulated pod calls it.
        "--endpoint-reconciler-type=none",
        f"--etcd-servers=https://{LOOPBACK}:{ports.etcd}",
        f"--etcd-cafile={ids.ca}",
        f"--etcd-certfile={ids.api_to_etcd.cert}",
        f"--etcd-keyfile={ids.api_to_etcd.key}",
        f"--tls-cert-file={ids.api_server.cert}",
        f"--tls-private-key-file={ids.api_server.key}",
        f"--client-ca-file={ids.ca}",
        # Certificates of one authority, so a server behind this one must look at the name.
        f"--requestheader-client-ca-file={ids.ca}",
        f"--requestheader-allowed-names={FRONT_PROXY}",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={ids.front_proxy.cert}",
        f"--proxy-client-key-file={ids.front_proxy.key}",
        "--authorization-mode=Node,RBAC",
        "--anonymous-auth=false",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        f"--service-account-issuer={SERVICE_ACCOUNT_ISSUER}",
        f"--service-account-key-file={ids.service_accounts.cert}",
        f"--service-account-signing-key-file={ids.service_accounts.key}",
        "--profiling=false",
    ]


def controller_manager(binary: Path, kubeconfig: Path, ids: Identities) -> list[str]:
    """The controller manager; each controller acts under an account of its own."""
    return [
        str(binary),
        f"--kubeconfig={kubeconfig}",
        f"--bind-address={LOOPBACK}",
        "--secure-port=0",
        "--leader-elect=false",
        "--use-service-account-credentials=true",
        f"--service-account-private-key-file={ids.service_accounts.key}",
        f"--root-ca-file={ids.ca}",
        f"--horizontal-pod-autoscaler-sync-period={HPA_SYNC_PERIOD}",
        "--allocate-node-cidrs=false",
        "--profiling=false",
        f"--kube-api-qps={CLIENT_QPS}",
        f"--kube-api-burst={CLIENT_BURST}",
    ]


def scheduler(binary: Path, kubeconfig: Path) -> list[str]:
    """The scheduler with its default profile."""
    return [
        str(binary),
        f"--kubeconfig={kubeconfig}",
        f"--bind-address={LOOPBACK}",
        "--secure-port=0",
        "--leader-elect=false",
        "--profiling=false",
        f"--kube-api-qps={CLIENT_QPS}",
        f"--kube-api-burst={CLIENT_BURST}",
    ]


def write_kubeconfig(path: Path, *, cluster: str, server: str, ca: Path, identity: KeyPair) -> None:
    """A kubeconfig with the certificates inside, so that it can be copied; readable by its owner only. JSON is YAML."""

    def inline(source: Path) -> str:
        return base64.b64encode(source.read_bytes()).decode()

    user = {"client-certificate-data": inline(identity.cert), "client-key-data": inline(identity.key)}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": cluster, "cluster": {"server": server, "certificate-authority-data": inline(ca)}}
        ],
        "users": [{"name": cluster, "user": user}],
        "contexts": [{"name": cluster, "context": {"cluster": cluster, "user": cluster}}],
        "current-context": cluster,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_private(path, json.dumps(config, indent=1).encode())
