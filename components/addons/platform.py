"""Everything between nodes and models, in the order that the catalogue's needs leave.

A function that wires components, not a component: each add-on is the stack's own, so that one that is taken out, or
left to somebody else, changes nothing of the others.
"""

from collections.abc import Iterable

import pulumi

from components.addons.namespaces import AddonNamespace, AddonNamespaceArgs
from components.addons.pattern import Addon
from components.addons.surroundings import Surroundings
from components.addons.table import UNITS, Site
from components.node_agents import CLUSTER_NAMESPACE
from components.secret_delivery import SecretSource
from settings import Settings
from settings.addon_catalogue import Unit
from settings.addon_namespaces import ADDON_NAMESPACES
from settings.addon_order import install_order, needs_of
from settings.storage import EBS_CLASS
from settings.volumes import REPLICAS


def install_platform(
    settings: Settings, around: Surroundings, secrets: SecretSource, on_cluster: pulumi.ResourceOptions
) -> dict[str, Addon]:
    """Install the add-ons that are managed, by unit; those that need AWS themselves come with the cluster's services."""
    units = [unit for unit in settings.asked.units("managed") if unit.name in UNITS]
    site = Site(
        settings=settings,
        storage_class=settings.storage.volume_class or (EBS_CLASS if around.volumes else None),
        vault_key=around.vault_key,
    )
    namespaces = _namespaces(units, on_cluster)
    installed: dict[str, Addon] = {}
    for unit in install_order(units):
        row = UNITS[unit.name]
        place = ADDON_NAMESPACES[unit.name]
        namespace = namespaces.get(place, place)
        reads = secrets.of(unit.name)
        common = {
            "charts": settings.charts,
            "namespace": namespace,
            "after": [
                *(installed[need.name] for need in needs_of(unit, units)),
                *_before(unit, around),
                *([secrets.deliver(reads, namespace, installed, on_cluster)] if reads else []),
            ],
            "replicas": REPLICAS[settings.environment],
            "monitored": site.has("prometheus"),
        }
        args = row.args(**common, **row.own(site))
        installed[unit.name] = row.component(unit.name, args, on_cluster)
    return installed


def _before(unit: Unit, around: Surroundings) -> list[pulumi.Resource]:
    found = [*around.access.get(unit.name, ())]
    if unit.runs:
        found += around.nodes
    if unit.volumes:
        found += around.volumes
    return found


def _namespaces(units: Iterable[Unit], on_cluster: pulumi.ResourceOptions) -> dict[str, pulumi.Output[str]]:
    names = sorted({ADDON_NAMESPACES[unit.name] for unit in units} - {CLUSTER_NAMESPACE})
    return {
        name: AddonNamespace(f"namespace-{name}", AddonNamespaceArgs(name=name), on_cluster).name
        for name in names
    }
