"""Cases of rules about rights in AWS: what a role may do, and who may take it."""

import json
from typing import Any

from tests.policies.cases import Case, Given

STATEMENT: dict[str, Any] = {
    "Effect": "Allow",
    "Action": ["s3:GetObject"],
    "Resource": ["arn:aws:s3:::acme-models/*"],
}


def right(**changes: object) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{**STATEMENT, **changes}]})


def trust(**changes: object) -> str:
    """A policy that says who may take a role."""
    statement = {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"Service": "pods.eks.amazonaws.com"},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": {**statement, **changes}})


ADMIN = "arn:aws:iam::aws:policy/AdministratorAccess"
NODE = "arn:aws:iam::aws:policy/AmazonEKSWorkerNodePolicy"
SOURCE = {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}
PASSING = right(
    Action="iam:PassRole", Resource="arn:aws:iam::123456789012:role/llm-prod-node", Condition=SOURCE
)
ROLE: dict[str, Given] = {
    "role": (
        "aws:iam/role:Role",
        {
            "name": "llm-prod",
            "assumeRolePolicy": trust(),
            "managedPolicyArns": [NODE],
            "inlinePolicies": [{"name": "read", "policy": right()}, {"name": "pass", "policy": PASSING}],
        },
    )
}


def attached(kind: str, **inputs: object) -> dict[str, Given]:
    """A resource that gives policies of AWS to somebody."""
    return {"held": (f"aws:iam/{kind[0].lower()}{kind[1:]}:{kind}", dict(inputs))}


CASES = (
    Case(
        rule="rights-have-ends",
        keeps={"role": ("aws:iam/rolePolicy:RolePolicy", {"policy": right()})},
        at=("role", "policy"),
        wrong=(
            right(Action="*"),
            right(Action="s3:*"),
            right(Action="s3:PutObject", Resource="*"),
            right(Action=None, NotAction=["iam:*"]),
            right(Resource=None, NotResource=["arn:aws:s3:::acme-models/*"], Action="s3:PutObject"),
            right(Action="iam:PassRole", Resource="arn:aws:iam::*:*"),
            right(Action="iam:PutRolePolicy", Resource=["arn:aws:iam::123456789012:role/*"]),
            right(Action=["s3:GetObject", "s3:DeleteBucket"], Resource="arn:aws:s3:::*"),
        ),
        says="role allows",
    ),
    Case(
        rule="rights-have-ends",
        keeps={
            "held": (
                "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
                {"policyArn": "arn:aws:iam::aws:policy/AmazonEKSWorkerNodePolicy"},
            )
        },
        at=("held", "policyArn"),
        wrong=("arn:aws:iam::aws:policy/AdministratorAccess",),
        says="gives AdministratorAccess",
    ),
    Case(
        rule="rights-have-ends",
        keeps=ROLE,
        at=("role", "managedPolicyArns"),
        wrong=([ADMIN], [NODE, ADMIN]),
        says="role gives AdministratorAccess",
    ),
    Case(
        rule="rights-have-ends",
        keeps=ROLE,
        at=("role", "inlinePolicies", 0, "policy"),
        wrong=(right(Action="*"), right(Action="iam:PassRole", Resource="*")),
        says="role allows",
    ),
    Case(
        rule="rights-have-ends",
        keeps=ROLE,
        at=("role", "assumeRolePolicy"),
        wrong=(
            trust(Principal="*"),
            trust(Principal={"AWS": "*"}),
            trust(Principal={"AWS": ["arn:aws:iam::123456789012:root", "*"]}),
            trust(Principal=None, NotPrincipal={"AWS": "arn:aws:iam::123456789012:root"}),
        ),
        says="role is given to anybody who asks",
    ),
    Case(
        rule="rights-have-ends",
        keeps={"role": ("aws:iam/role:Role", {"assumeRolePolicy": trust(Principal="*", Condition=SOURCE)})},
        at=("role", "assumeRolePolicy"),
        wrong=(trust(Principal="*", Condition={}),),
        says="role is given to anybody who asks",
    ),
    Case(
        rule="rights-have-ends",
        keeps=attached("PolicyAttachment", policyArn=NODE, roles=["llm-prod"]),
        at=("held", "policyArn"),
        wrong=(ADMIN,),
        says="held gives AdministratorAccess",
    ),
    *(
        Case(
            rule="rights-have-ends",
            keeps=attached(f"{whose}PolicyAttachmentsExclusive", policyArns=[NODE]),
            at=("held", "policyArns"),
            wrong=([ADMIN],),
            says="held gives AdministratorAccess",
        )
        for whose in ("Role", "User", "Group")
    ),
)
