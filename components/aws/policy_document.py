"""IAM policies: what is allowed, on what. Pure, but for values that only AWS knows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import pulumi

VERSION: Final = "2012-10-17"
POD_IDENTITY_SERVICE: Final = "pods.eks.amazonaws.com"

Condition = Mapping[str, Mapping[str, pulumi.Input[str] | Sequence[pulumi.Input[str]]]]


@dataclass(frozen=True, kw_only=True)
class Statement:
    """One statement. Raises ValueError where it would allow everything: an action of all services, or all of one service on everything."""

    sid: str
    actions: Sequence[str]
    resources: Sequence[pulumi.Input[str]] = ()
    effect: Literal["Allow", "Deny"] = "Allow"
    conditions: Condition = field(default_factory=dict[str, Any])
    principals: Mapping[str, pulumi.Input[str] | Sequence[pulumi.Input[str]]] | Literal["*"] | None = None

    def __post_init__(self) -> None:
        """Refuse what nobody should write."""
        if self.effect == "Allow" and any(action in {"*", "*:*"} for action in self.actions):
            message = f"statement {self.sid}: allows every action of every service; name the actions"
            raise ValueError(message)
        everything = any(resource == "*" for resource in self.resources if isinstance(resource, str))
        whole_service = any(action.endswith(":*") for action in self.actions)
        if self.effect == "Allow" and everything and whole_service and self.principals is None:
            message = f"statement {self.sid}: allows all of a service on every resource; name either"
            raise ValueError(message)

    def to_dict(self) -> dict[str, Any]:
        """Return the statement as IAM writes it, keys in one order."""
        written: dict[str, Any] = {"Sid": self.sid, "Effect": self.effect, "Action": sorted(self.actions)}
        if self.resources:
            written["Resource"] = list(self.resources)
        if self.principals is not None:
            written["Principal"] = self.principals
        if self.conditions:
            written["Condition"] = {key: dict(value) for key, value in self.conditions.items()}
        return written


def policy_document(statements: Sequence[Statement]) -> pulumi.Output[str]:
    """Return a policy as JSON."""
    return pulumi.Output.json_dumps(
        {"Version": VERSION, "Statement": [statement.to_dict() for statement in statements]}
    )


def service_trust(service: str, *actions: str) -> pulumi.Output[str]:
    """Return a role's trust in an AWS service, e.g. `ec2.amazonaws.com`. It may assume the role."""
    return policy_document(
        [Statement(sid="Service", actions=actions or ("sts:AssumeRole",), principals={"Service": service})]
    )


def pod_identity_trust() -> pulumi.Output[str]:
    """Return a role's trust in EKS Pod Identity, which hands it to pods and tags the session with who they are."""
    return service_trust(POD_IDENTITY_SERVICE, "sts:AssumeRole", "sts:TagSession")
