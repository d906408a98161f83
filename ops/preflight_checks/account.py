"""The account, and whether whoever asks may use the cluster that they create."""

from ops.preflight_checks.aws import Aws
from ops.preflight_checks.calls import WHO_AM_I
from ops.preflight_checks.finding import Outcome, Probe, Target, missing, ok

_ACCOUNT_FIELD = 4
_RESOURCE_FIELD = 5


def account(aws: Aws, target: Target) -> list[Probe]:
    """Ask whose credentials these are. First of all: another account's answers mean nothing."""
    needed = target.cluster.account

    def look() -> Outcome:
        found = str(aws.ask(WHO_AM_I)["Account"])
        if found == needed:
            return ok(found)
        return missing(
            found,
            f"use credentials of account {needed}; nothing else was asked of this one, its answers mean nothing",
        )

    return [Probe(subject="account", needed=needed, look=look)]


def caller(aws: Aws, target: Target) -> list[Probe]:
    """Ask whether the caller is an admin of the cluster: EKS lets nobody in who has no access entry."""
    admins = target.cluster.access.admins

    def look() -> Outcome:
        arn = str(aws.ask(WHO_AM_I)["Arn"])
        same = next((admin for admin in admins if is_principal(arn, admin)), None)
        if same is None:
            return missing(
                arn, f"assume {admins[0]}, or add the caller's role or user to cluster.access.admins"
            )
        # A session's ARN has the role's name and not its path.
        by_name = "" if arn == same else ", compared by name: a session does not say its role's path"
        return ok(f"{arn}{by_name}" if same.count("/") > 1 else arn)

    return [Probe(subject="caller", needed=f"one of cluster.access.admins: {', '.join(admins)}", look=look)]


def is_principal(caller_arn: str, principal: str) -> bool:
    """Tell whether a caller is an IAM user or role: itself, or a session of the role by that name."""
    if caller_arn == principal:
        return True
    own, other = caller_arn.split(":"), principal.split(":")
    if own[_ACCOUNT_FIELD] != other[_ACCOUNT_FIELD]:
        return False
    session, role = own[_RESOURCE_FIELD].split("/"), other[_RESOURCE_FIELD].split("/")
    return (session[0], role[0]) == ("assumed-role", "role") and session[1] == role[-1]
