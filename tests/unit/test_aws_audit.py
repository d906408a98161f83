"""The audit stream's rights: it writes and nothing else, nobody else writes, and each service acts for this account alone."""

from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from components.aws.audit_trail import only_writers, put_records, trust, write_gateway_lines, write_objects
from components.aws.policy_document import Statement
from settings import EksCluster, load_stack_file
from settings.audit import S3Audit

pytestmark = pytest.mark.unit

AUDIT = S3Audit(kind="s3", bucket="acme-audit")


@pytest.fixture
def cluster(root: Path) -> EksCluster:
    return cast("EksCluster", load_stack_file(root / "Pulumi.prod.yaml").cluster)


@pytest.mark.parametrize("rights", [write_objects, write_gateway_lines])
def test_who_writes_can_not_read_delete_or_unlock_what_it_wrote(
    cluster: EksCluster, rights: Callable[[EksCluster, S3Audit], list[Statement]]
) -> None:
    actions = {action for statement in rights(cluster, AUDIT) for action in statement.actions}
    assert "s3:PutObject" in actions
    forbidden = ("s3:GetObject", "s3:Delete", "s3:Bypass", "s3:PutObjectRetention", "s3:PutBucket")
    assert [action for action in actions if action.startswith(forbidden)] == []


def test_neither_writes_where_the_other_does(cluster: EksCluster) -> None:
    def places(statements: list[Statement]) -> set[object]:
        return {place for each in statements if "s3:PutObject" in each.actions for place in each.resources}

    ours = "arn:aws:s3:::acme-audit"
    assert places(write_objects(cluster, AUDIT)) == {f"{ours}/kubernetes/*", f"{ours}/errors/*"}
    assert places(write_gateway_lines(cluster, AUDIT)) == {f"{ours}/gateway/*"}


def test_nobody_else_adds_anything(cluster: EksCluster) -> None:
    rule = only_writers(cluster, AUDIT)
    assert (rule.effect, rule.principals, list(rule.actions)) == ("Deny", "*", ["s3:PutObject"])
    assert rule.conditions == {
        "ArnNotEquals": {
            "aws:PrincipalArn": [
                "arn:aws:iam::123456789012:role/llm-prod-audit-writer",
                "arn:aws:iam::123456789012:role/llm-prod-otel-agent",
            ]
        }
    }


def test_it_is_fed_by_the_log_service_of_this_account_alone(cluster: EksCluster) -> None:
    statement = trust(cluster, "logs.us-east-1.amazonaws.com")
    assert statement.conditions == {"StringEquals": {"aws:SourceAccount": "123456789012"}}
    assert put_records(cluster).resources == (
        "arn:aws:firehose:us-east-1:123456789012:deliverystream/llm-prod-audit",
    )
