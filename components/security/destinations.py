"""Where an address of the settings leads to, in the words of a network policy: those know blocks and namespaces, and no names."""

from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from components.security.parties import Addresses, Party, Port, Side
from settings.network import PRIVATE_RANGES

_DEFAULT_PORTS: Final = {"https": 443, "http": 80}
_SERVICE: Final = "svc"
# Beside the private blocks: what carriers and clouds use inside, and addresses of one link, credentials of nodes among them.
_NOT_PUBLIC: Final = (*map(str, PRIVATE_RANGES), "100.64.0.0/10", "169.254.0.0/16")

INTERNET: Final = Addresses(blocks=("0.0.0.0/0",), without=_NOT_PUBLIC)
ANYWHERE: Final = Addresses(blocks=("0.0.0.0/0",), without=("169.254.0.0/16",))
"""A host whose address only its name server knows may be inside or outside."""
POD_IDENTITY: Final = Addresses(blocks=("169.254.170.23/32",))
"""The agent on each node of EKS that hands out a role's credentials."""
POD_IDENTITY_PORT: Final = Port(number=80)
HTTPS: Final = Port(number=443)


def destination(url: str) -> tuple[Side, tuple[Port, ...]]:
    """Return who answers at an address, and on which ports. No port is every port."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = Port(number=parts.port or _DEFAULT_PORTS[parts.scheme])
    namespace = _namespace(host)
    if namespace is not None:
        # A Service's port is not the one that its pods listen on, and those are what a policy sees.
        return Party(name=host, namespace=namespace, labels={}, meshed=None), ()
    try:
        address = ip_address(host)
    except ValueError:
        return ANYWHERE, (port,)
    return Addresses(blocks=(f"{address}/{address.max_prefixlen}",)), (port,)


def _namespace(host: str) -> str | None:
    """Return the namespace of a Service's name, as it is written inside a cluster: NAME.NAMESPACE.svc, and what may follow."""
    parts = host.split(".")
    return parts[1] if len(parts) > 2 and parts[2] == _SERVICE else None  # noqa: PLR2004
