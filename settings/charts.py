"""Where Helm charts are taken from."""

import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from settings.base import Section, refusal

_REGISTRY: Final = re.compile(
    r"oci://[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:\d{1,5})?(/[a-z0-9]([a-z0-9._-]*[a-z0-9])?)*"
)


def _registry(value: str) -> str:
    if not _REGISTRY.fullmatch(value):
        raise refusal(
            "not the address of a registry of charts",
            "write 'oci://', the host and the path above the charts, e.g. 'oci://harbor.internal/charts'",
        )
    return value


def _folder(value: str) -> str:
    if not value.strip() or "://" in value:
        raise refusal(
            "not a folder", "write the path of a folder with a folder for each chart, e.g. './charts'"
        )
    return value.rstrip("/") or "/"


class PublishedCharts(Section):
    """Each from where its project publishes it (`components/charts.py`)."""

    kind: Literal["published"]


class MirroredCharts(Section):
    """All from one OCI registry, under their own names and versions."""

    kind: Literal["mirror"]
    registry: Annotated[str, AfterValidator(_registry)]


class LocalCharts(Section):
    """All from one folder, unpacked: `PATH/NAME/Chart.yaml`. Relative to the project."""

    kind: Literal["folder"]
    path: Annotated[str, AfterValidator(_folder)]


ChartSource = Annotated[PublishedCharts | MirroredCharts | LocalCharts, Field(discriminator="kind")]
