"""Arguments of what closes the platform."""

from collections.abc import Callable
from typing import Any, Final

import pulumi

from components.security.mesh_rules import MeshRules, MeshRulesArgs
from components.security.network_rules import NetworkRules, NetworkRulesArgs
from components.security.openings import openings
from components.security.parties import prometheus
from settings import Settings

FACTORIES: Final[dict[type[pulumi.ComponentResource], Callable[[Settings], Any]]] = {
    NetworkRules: lambda s: NetworkRulesArgs(namespace="llm", openings=openings(s)),
    MeshRules: lambda s: MeshRulesArgs(
        namespace="llm", openings=openings(s), whole_mesh=True, prometheus=prometheus(s)
    ),
}
