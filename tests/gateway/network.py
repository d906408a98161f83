"""The network of a cluster of one node: each pod has a network namespace of its own, and the node routes between them.

The node is the namespace that the tests run in. A pod's only way out is its node, as with the network plugins that route.
"""

import ipaddress
import itertools
import os
import subprocess
from pathlib import Path
from typing import Final

NODE_ADDRESS: Final = "169.254.1.1"
"""Of the node, as its pods see it: link-local, so it can be the same on every link."""
# Beside the addresses that KWOK gives to the pods that it plays.
POD_NETWORK: Final = "10.245.0.0/16"
_HOLD: Final = ("unshare", "--net", "sh", "-c", "echo; exec sleep infinity")
_NUMBERS: Final = itertools.count(1)


def prepare_node() -> None:
    """Bring up what a new network namespace lacks."""
    _ip(["link set lo up", f"address add {NODE_ADDRESS}/32 dev lo"])
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")


def add_address(address: str) -> None:
    """Give the node one more address, such as a Service's."""
    _ip([f"address add {address}/32 dev lo"])


class PodNetwork:
    """One pod's network namespace, held by a process that sleeps."""

    def __init__(self) -> None:
        number = next(_NUMBERS)
        self.address = str(ipaddress.ip_network(POD_NETWORK)[number])
        self._holder = subprocess.Popen(_HOLD, stdout=subprocess.PIPE)
        assert self._holder.stdout is not None
        # It writes a line from inside.
        self._holder.stdout.readline()
        self._holder.stdout.close()
        link = f"pod{number}"
        _ip(
            [
                f"link add {link} type veth peer name eth0 netns {self._holder.pid}",
                f"address add {NODE_ADDRESS}/32 dev {link}",
                f"link set {link} up",
                f"route add {self.address}/32 dev {link}",
            ]
        )
        _ip(
            [
                "link set lo up",
                "link set eth0 up",
                f"address add {self.address}/32 dev eth0",
                f"route add {NODE_ADDRESS} dev eth0 scope link",
                f"route add default via {NODE_ADDRESS} dev eth0",
            ],
            inside=self.enter,
        )

    @property
    def enter(self) -> list[str]:
        """The command that runs another one in this network, in its own place: same process id."""
        return ["nsenter", f"--net=/proc/{self._holder.pid}/ns/net"]

    def remove(self) -> None:
        """End it. The link goes with it, and so does the route."""
        self._holder.kill()
        self._holder.wait()


def _ip(commands: list[str], inside: list[str] | None = None) -> None:
    done = subprocess.run(
        [*(inside or []), "ip", "-batch", "-"],
        input="\n".join(commands),
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
