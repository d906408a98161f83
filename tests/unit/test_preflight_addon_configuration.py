"""What the program tells an add-on, against the schema that EKS publishes. EKS's answers are made up, in its form."""

import json
from dataclasses import replace
from typing import Any, Final

import pytest

from ops.preflight import answer
from ops.preflight_checks.addon_configuration import addon_configurations
from ops.preflight_checks.aws import Aws
from ops.preflight_checks.calls import ADDON_CONFIGURATION
from ops.preflight_checks.finding import Finding
from tests.unit.preflight_stubs import REGION, Stubs, prod, target_of

pytestmark = pytest.mark.unit

VERSION: Final = "v1.22.4-eksbuild.3"
SCHEMA: Final = {
    "$schema": "http://json-schema.org/draft-06/schema#",
    "$ref": "#/definitions/VpcCni",
    "definitions": {
        "VpcCni": {
            "type": "object",
            "additionalProperties": False,
            "properties": {"enableNetworkPolicy": {"type": "string", "format": "boolean"}},
        }
    },
}


def _addon(configuration: object | None = None, account: str | None = None) -> dict[str, Any]:
    inputs: dict[str, Any] = {"addonName": "vpc-cni", "addonVersion": VERSION}
    if configuration is not None:
        inputs["configurationValues"] = json.dumps(configuration)
    if account is not None:
        inputs["podIdentityAssociations"] = [{"serviceAccount": account, "roleArn": "arn"}]
    return {"type": "aws:eks/addon:Addon", "inputs": inputs}


def _asked(stubs: Stubs, *declared: dict[str, Any]) -> list[Finding]:
    target = replace(target_of(prod()), resources=lambda: declared)
    found = [answer("check", probe) for probe in addon_configurations(Aws(REGION, stubs.client), target)]
    stubs.nothing_left()
    return found


def _published(stubs: Stubs, **parts: Any) -> None:  # noqa: ANN401 - as EKS writes them
    question = {"addonName": "vpc-cni", "addonVersion": VERSION}
    response = {**question, "configurationSchema": json.dumps(SCHEMA), **parts}
    stubs.answers(ADDON_CONFIGURATION, response, question)


@pytest.fixture
def stubs() -> Stubs:
    return Stubs()


def test_one_that_the_schema_takes_is_ok(stubs: Stubs) -> None:
    _published(stubs)
    (found,) = _asked(stubs, _addon({"enableNetworkPolicy": "true"}))
    assert (found.status, found.subject) == ("ok", "vpc-cni")


@pytest.mark.parametrize(
    ("configuration", "objection"),
    [
        ({"enableNetworkPolicies": "true"}, r"'enableNetworkPolicies' was unexpected"),
        ({"enableNetworkPolicy": True}, r"$.enableNetworkPolicy: True is not of type 'string'"),
    ],
    ids=["unknown key", "wrong type"],
)
def test_one_that_the_schema_refuses_is_missing(
    stubs: Stubs, configuration: dict[str, Any], objection: str
) -> None:
    _published(stubs)
    (found,) = _asked(stubs, _addon(configuration))
    assert found.status == "missing"
    assert objection in found.found
    assert "cluster.addon_versions.vpc_cni" in str(found.fix)


def test_a_role_for_an_account_that_the_add_on_has_is_ok(stubs: Stubs) -> None:
    _published(stubs, podIdentityConfiguration=[{"serviceAccount": "aws-node"}])
    (found,) = _asked(stubs, _addon(account="aws-node"))
    assert found.status == "ok"


def test_a_role_for_an_account_that_the_add_on_has_not_is_missing(stubs: Stubs) -> None:
    _published(stubs, podIdentityConfiguration=[{"serviceAccount": "aws-node"}])
    (found,) = _asked(stubs, _addon(account="vpc-cni"))
    assert (found.status, found.found) == (
        "missing",
        "no service account vpc-cni can be given a role; it has aws-node",
    )


def test_one_of_a_version_that_eks_does_not_know_is_unknown(stubs: Stubs) -> None:
    stubs.refuses(ADDON_CONFIGURATION, "ResourceNotFoundException")
    (found,) = _asked(stubs, _addon({"enableNetworkPolicy": "true"}))
    assert (found.status, found.fix) == ("unknown", "put the version right first (check `addons`)")


def test_one_that_is_told_nothing_is_not_asked(stubs: Stubs) -> None:
    assert _asked(stubs, _addon(), {"type": "aws:s3/bucket:Bucket", "inputs": {}}) == []
