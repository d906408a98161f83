"""A real Vault and the real controller of External Secrets as processes of a test, on loopback, ended with it."""

import os
import secrets
import shutil
import subprocess
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from ops.vault import Vault, connect
from rehearsal.cluster.api import wait_until
from rehearsal.cluster.launcher import free_ports, http_ok
from rehearsal.cluster.layout import ClusterLayout
from tests.rehearsal.conftest import tools

START_SECONDS: Final = 90.0
END_SECONDS: Final = 20.0
LOOPBACK: Final = "127.0.0.1"


@dataclass(frozen=True, kw_only=True)
class VaultServer:
    """Where it answers, who signed its certificate, what its root may log in with, and a folder that it may write to."""

    address: str
    authority: str
    token: str
    folder: Path

    def environment(self) -> dict[str, str]:
        """Return what a shell would have."""
        bundle = self.folder / "tls" / "vault-ca.pem"
        return {"VAULT_ADDR": self.address, "VAULT_TOKEN": self.token, "VAULT_CACERT": str(bundle)}

    def as_root(self) -> Vault:
        """Return a connection."""
        return connect(self.environment())

    def as_nobody(self, token: str = "none") -> Vault:  # noqa: S107 - of nobody
        """Return a connection of somebody else."""
        return connect({**self.environment(), "VAULT_TOKEN": token})


@contextmanager
def vault_server(folder: Path) -> Generator[VaultServer]:
    """Run one in memory, unsealed, with TLS. The login of Kubernetes accounts comes as a plugin."""
    plugins, tls = folder / "plugins", folder / "tls"
    plugins.mkdir(parents=True)
    tls.mkdir()
    shutil.copy(tools().bin("vault-plugin-auth-kubernetes"), plugins / "kubernetes")
    (port,) = free_ports(1)
    token = secrets.token_urlsafe(16)
    command = [
        str(tools().bin("vault")),
        "server",
        "-dev-tls",
        f"-dev-tls-cert-dir={tls}",
        f"-dev-listen-address={LOOPBACK}:{port}",
        f"-dev-plugin-dir={plugins}",
        "-dev-no-store-token",
    ]
    # Not in the command: every process of the machine may read that.
    environment = {"VAULT_DEV_ROOT_TOKEN_ID": token, "HOME": str(folder)}
    with _process(command, environment, folder / "vault.log") as alive:
        server = VaultServer(
            address=f"https://{LOOPBACK}:{port}",
            authority=str(tls / "vault-ca.pem"),
            token=token,
            folder=folder,
        )

        def answers() -> bool:
            if not Path(server.authority).is_file():
                return False
            try:
                with server.as_root().client as client:
                    return client.get("/v1/sys/health").is_success
            except httpx.HTTPError:
                return False

        assert wait_until(answers, seconds=START_SECONDS, alive=[alive]), (folder / "vault.log").read_text()
        yield VaultServer(
            address=server.address,
            authority=Path(server.authority).read_text(encoding="utf-8"),
            token=token,
            folder=folder,
        )


@contextmanager
def external_secrets(layout: ClusterLayout, folder: Path) -> Generator[Path]:
    """Run the controller on a cluster that knows its kinds, with what the add-on leaves out left out. Give its log."""
    (health,) = free_ports(1)
    command = [
        str(tools().bin("external-secrets")),
        "--metrics-addr=0",
        f"--live-addr={LOOPBACK}:{health}",
        "--enable-cluster-store-reconciler=false",
        "--enable-cluster-external-secret-reconciler=false",
        "--enable-cluster-push-secret-reconciler=false",
        "--enable-push-secret-reconciler=false",
        "--loglevel=debug",
    ]
    log = folder / "external-secrets.log"
    with _process(command, {"KUBECONFIG": str(layout.kubeconfig)}, log) as alive:
        assert wait_until(lambda: http_ok(health, "/healthz"), seconds=START_SECONDS, alive=[alive]), (
            log.read_text()
        )
        yield log


@contextmanager
def _process(command: Sequence[str], environment: Mapping[str, str], log: Path) -> Generator["_Alive"]:
    with log.open("w") as output:
        process = subprocess.Popen(
            command,
            env={"PATH": os.environ["PATH"], **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            yield _Alive(process=process)
        finally:
            process.terminate()
            try:
                process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@dataclass(frozen=True, kw_only=True)
class _Alive:
    process: "subprocess.Popen[bytes]"

    def __call__(self) -> bool:
        return self.process.poll() is None
