"""What the program tells each add-on, against what EKS says that its version takes.

EKS refuses a key that it does not know only when the add-on is made, a quarter of an hour into `pulumi up`. The program
itself is asked what it would say: it is run as for `vp render`.
"""

import json
from collections.abc import Mapping
from typing import Any, Final, cast

from jsonschema.exceptions import (
    SchemaError,
    ValidationError,
    best_match,  # pyright: ignore[reportUnknownVariableType] - its type forgets what it returns
)
from jsonschema.validators import validator_for

from ops.preflight_checks.aws import Aws, RefusedError
from ops.preflight_checks.calls import ADDON_CONFIGURATION
from ops.preflight_checks.finding import Outcome, Probe, Target, missing, ok, unknown

ADDON_TYPE: Final = "aws:eks/addon:Addon"
_UNKNOWN_VERSION: Final = frozenset({"InvalidParameterException", "ResourceNotFoundException"})


def addon_configurations(aws: Aws, target: Target) -> list[Probe]:
    """Ask for each add-on that is given a configuration or a role."""
    declared = [node["inputs"] for node in target.resources() if node["type"] == ADDON_TYPE]
    return [
        Probe(
            subject=addon["addonName"],
            needed=f"taken by {addon['addonVersion']}: {_told(addon)}",
            look=lambda addon=addon: _look(aws, addon),
        )
        for addon in sorted(declared, key=lambda addon: str(addon["addonName"]))
        if _told(addon)
    ]


def _told(addon: Mapping[str, Any]) -> str:
    """Say what the program tells an add-on, in one line."""
    parts = [addon["configurationValues"]] if addon.get("configurationValues") else []
    parts += [f"role for {account}" for account in _accounts(addon)]
    return ", ".join(parts)


def _accounts(addon: Mapping[str, Any]) -> list[str]:
    return [str(one["serviceAccount"]) for one in addon.get("podIdentityAssociations", [])]


def _look(aws: Aws, addon: Mapping[str, Any]) -> Outcome:
    name, version = str(addon["addonName"]), str(addon["addonVersion"])
    try:
        answer = aws.ask(ADDON_CONFIGURATION, addonName=name, addonVersion=version)
    except RefusedError as error:
        if error.code not in _UNKNOWN_VERSION:
            raise
        return unknown("EKS does not know this version", "put the version right first (check `addons`)")
    wrong = [*_refused_values(answer, addon), *_refused_accounts(answer, addon)]
    if not wrong:
        return ok("taken")
    fix = (
        f"pin a version that takes it in cluster.addon_versions.{name.replace('-', '_')}, "
        "or correct components/aws/eks_addons.py"
    )
    return missing("; ".join(wrong), fix)


def _refused_values(answer: Mapping[str, Any], addon: Mapping[str, Any]) -> list[str]:
    """Return what the add-on's schema says against its configuration, the most telling objection."""
    text, values = answer.get("configurationSchema"), addon.get("configurationValues")
    if not text or not values:
        return []
    schema: Any = json.loads(text)
    try:
        kind = validator_for(schema)
        kind.check_schema(schema)
        error = cast("ValidationError | None", best_match(kind(schema).iter_errors(json.loads(values))))
    except SchemaError:
        # Not ours to judge: EKS has its own reading of it.
        return []
    return [] if error is None else [f"{error.json_path}: {error.message}"]


def _refused_accounts(answer: Mapping[str, Any], addon: Mapping[str, Any]) -> list[str]:
    """Return service accounts that the add-on has none of: EKS gives a role to those that it lists."""
    listed = cast("list[dict[str, Any]]", answer.get("podIdentityConfiguration") or [])
    known = {str(one.get("serviceAccount")) for one in listed}
    return [
        f"no service account {account} can be given a role; it has {', '.join(sorted(known)) or 'none'}"
        for account in _accounts(addon)
        if account not in known
    ]
