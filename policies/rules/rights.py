"""Rights in AWS: what a role may do has ends, and so has who may take it."""

from collections.abc import Iterator
from typing import Any, Final

from .aws import AREA
from .model import Config, Resource, resource_rule, typed
from .values import UNKNOWN, at, elements, entries, leaves, parsed, text

_ROLE: Final = "aws:iam/role:Role"
_POLICIES: Final = (
    "aws:iam/rolePolicy:RolePolicy",
    "aws:iam/policy:Policy",
    "aws:iam/userPolicy:UserPolicy",
    "aws:iam/groupPolicy:GroupPolicy",
)
_ATTACHMENTS: Final = (
    "aws:iam/policyAttachment:PolicyAttachment",
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
    "aws:iam/userPolicyAttachment:UserPolicyAttachment",
    "aws:iam/groupPolicyAttachment:GroupPolicyAttachment",
    "aws:iam/rolePolicyAttachmentsExclusive:RolePolicyAttachmentsExclusive",
    "aws:iam/userPolicyAttachmentsExclusive:UserPolicyAttachmentsExclusive",
    "aws:iam/groupPolicyAttachmentsExclusive:GroupPolicyAttachmentsExclusive",
)
_READING: Final = ("describe", "list", "get", "head", "lookup", "query", "batchget")
_TOO_MUCH: Final = ("AdministratorAccess", "PowerUserAccess", "IAMFullAccess")
# Of a name of AWS, arn:partition:service:region:account:resource, what comes before the resource.
_BEFORE_RESOURCE: Final = 5


@resource_rule(
    "rights-have-ends",
    AREA,
    says="No role may do everything, or change anything anywhere, and none is there for everybody",
    fix="name the actions, the resources that they act on, and who may take the role",
    types=typed(_ROLE, *_POLICIES, *_ATTACHMENTS),
)
def bounded(resource: Resource, _: Config) -> Iterator[str]:
    """Reading may be about all resources: many such actions of AWS know no other way."""
    for arn in map(text, _arns(resource.props)):
        if any(arn.endswith(f"/{each}") for each in _TOO_MUCH):
            yield f"{resource.label} gives {arn.rpartition('/')[2]}"
    inline = [at(each, "policy") for each in elements(resource.props, "inlinePolicies")]
    for document in (at(resource.props, "policy"), *inline):
        for statement in _allowing(document):
            yield from (f"{resource.label} allows {what}" for what in _too_wide(statement))
    for statement in _allowing(at(resource.props, "assumeRolePolicy")):
        if _is_for_everybody(statement) and not _is_conditional(statement):
            yield f"{resource.label} is given to anybody who asks"


def _arns(props: Any) -> list[Any]:  # noqa: ANN401 - inputs
    """Return the policies that somebody else wrote."""
    return [
        at(props, "policyArn"),
        *elements(props, "policyArns"),
        *elements(props, "managedPolicyArns"),
    ]


def _allowing(document: object) -> list[Any]:
    """Return the statements of a policy that allow something."""
    statements = at(parsed(document), "Statement")
    listed = [statements] if entries(statements) else elements(statements)
    return [each for each in listed if at(each, "Effect") == "Allow"]


def _too_wide(statement: object) -> Iterator[str]:
    actions = _listed(statement, "Action")
    if any(action == "*" or action.endswith(":*") for action in actions) or at(statement, "NotAction"):
        yield f"{', '.join(actions) or 'all but some actions'}"
    if _is_conditional(statement):
        return
    changing = [each for each in actions if not each.partition(":")[2].lower().startswith(_READING)]
    if changing and at(statement, "NotResource"):
        yield f"{', '.join(changing)} on all but some resources"
    wide = [each for each in changing if any(_is_all(arn, each) for arn in _listed(statement, "Resource"))]
    if wide:
        yield f"{', '.join(wide)} on every resource"


def _is_all(arn: str, action: str) -> bool:
    """Tell whether a name stands for all resources that an action knows. One that gives rights is as bad on all roles alone."""
    if arn == "*":
        return True
    parts = arn.split(":", _BEFORE_RESOURCE)
    last = parts[-1] if len(parts) > _BEFORE_RESOURCE else ""
    kind, _, name = last.partition("/")
    return last == "*" or (action.startswith("iam:") and kind in {"role", "user", "policy"} and name == "*")


def _is_for_everybody(statement: object) -> bool:
    whom = at(statement, "Principal")
    return bool(at(statement, "NotPrincipal")) or any(each == "*" for _, each in leaves(whom))


def _is_conditional(statement: object) -> bool:
    condition = at(statement, "Condition")
    return condition is UNKNOWN or bool(entries(condition))


def _listed(statement: object, key: str) -> list[str]:
    """Return a member of a policy, of which one need not be a list."""
    found = at(statement, key)
    return [found] if isinstance(found, str) else [text(each) for each in elements(found)]


RULES: Final = (bounded,)
