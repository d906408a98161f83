"""Which series a dashboard's choices leave, and the words that several dashboards have in common. Pure."""

from typing import Final

from components.dashboards.panels import Variable
from components.telemetry.recorded import REQUESTS
from components.telemetry.replica_rules import READY
from components.telemetry.rules import MODEL, TRACK, VERSION

PLACE: Final = 'namespace="$namespace"'
MODELS: Final = f'{PLACE},{MODEL}=~"$model"'
VERSIONS: Final = f'{MODELS},{VERSION}=~"$version"'
NO_REQUESTS: Final = "No requests in this time"
NO_REPLICA: Final = "No replica in this time"
BY_MODEL: Final = f"{{{{{MODEL}}}}}"
"""Legends: templates of labels."""
BY_TRACK: Final = f"{{{{{TRACK}}}}}"
BY_VERSION: Final = f"{BY_MODEL} {{{{{VERSION}}}}} {BY_TRACK}"


def namespaces(namespace: str) -> Variable:
    """Return the choice of the models' namespace. The replicas of a model are known also where there are none."""
    return Variable(
        name="namespace",
        label="Namespace",
        values=f"label_values({READY}, namespace)",
        several=False,
        first=namespace,
    )


def models(*, several: bool = True, first: str = "") -> Variable:
    """Return the choice of models. first: where only one is shown at once."""
    values = f"label_values({READY}{{{PLACE}}}, {MODEL})"
    return Variable(name="model", label="Model", values=values, several=several, first=first)


def versions() -> Variable:
    """Return the choice of a model's versions, by the tag of the image."""
    values = f"label_values({REQUESTS}{{{MODELS}}}, {VERSION})"
    return Variable(name="version", label="Version", values=values)
