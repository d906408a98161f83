"""The database's objects of every shape, against the real kinds: no field that they do not name."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

import pytest
import yaml
from jsonschema import Draft202012Validator

from components.database import cluster_spec, database_spec, monitor_spec, schedule_spec, store_spec
from tests.rehearsal.conftest import tools
from tests.unit.test_database import ALONE, ELSEWHERE, S3, WITH_COPIES, ZONES

pytestmark = pytest.mark.rehearsal


@dataclass(frozen=True, kw_only=True)
class Kind:
    """Where a definition lies: a tool's data, and the path in it."""

    tool: str
    path: str


def _own(plural: str) -> Kind:
    return Kind(tool="cloudnative-pg", path=f"config/crd/bases/postgresql.cnpg.io_{plural}.yaml")


STORE: Final = Kind(
    tool="cloudnative-pg-backups", path="config/crd/bases/barmancloud.cnpg.io_objectstores.yaml"
)
MONITOR: Final = Kind(
    tool="prometheus-operator",
    path="example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml",
)
SPECS: Final = {
    "three instances": (_own("clusters"), cluster_spec(WITH_COPIES, storage_class="gp3", zones=ZONES)),
    "one instance": (_own("clusters"), cluster_spec(ALONE, storage_class="gp3", zones=ZONES)),
    "database": (_own("databases"), database_spec(ALONE)),
    "schedule": (_own("scheduledbackups"), schedule_spec(WITH_COPIES)),
    "store on S3": (STORE, store_spec(S3, region="eu-west-1")),
    "store elsewhere": (STORE, store_spec(ELSEWHERE, region="eu-west-1")),
    "monitor": (MONITOR, monitor_spec(ALONE)),
}


def _definition(kind: Kind) -> Mapping[str, Any]:
    """Return a kind's schema of `spec`."""
    file = tools().assets(kind.tool) / kind.path
    document = cast("dict[str, Any]", yaml.load(file.read_text("utf-8"), yaml.CSafeLoader))
    (version,) = [v for v in document["spec"]["versions"] if v["storage"]]
    return version["schema"]["openAPIV3Schema"]["properties"]["spec"]


def _closed(schema: Any) -> Any:  # noqa: ANN401 - a JSON schema
    """Return a schema that takes no field that it does not name."""
    if isinstance(schema, dict):
        result = {key: _closed(item) for key, item in cast("Mapping[str, Any]", schema).items()}
        if isinstance(result.get("properties"), dict) and "type" in result:
            result.setdefault("additionalProperties", False)
        return result
    return [_closed(item) for item in cast("list[Any]", schema)] if isinstance(schema, list) else schema


@pytest.mark.parametrize("name", SPECS)
def test_the_real_definition_takes_every_field(name: str) -> None:
    kind, spec = SPECS[name]
    validator = Draft202012Validator(_closed(_definition(kind)))
    found = validator.iter_errors(spec)  # pyright: ignore[reportUnknownMemberType] - untyped there
    assert [error.message for error in found] == []


@pytest.mark.parametrize("name", SPECS)
def test_a_misspelt_field_is_noticed(name: str) -> None:
    """Else the test above would guard nothing."""
    kind, spec = SPECS[name]
    validator = Draft202012Validator(_closed(_definition(kind)))
    found = validator.iter_errors({**spec, "mispelt": True})  # pyright: ignore[reportUnknownMemberType]
    assert len(list(found)) == 1
