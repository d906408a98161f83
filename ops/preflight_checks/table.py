"""The checks, in the order in which they are asked."""

from collections.abc import Callable
from typing import Final

from ops.preflight_checks.account import account, caller
from ops.preflight_checks.addon_configuration import addon_configurations
from ops.preflight_checks.aws import Aws
from ops.preflight_checks.bucket import bucket
from ops.preflight_checks.domain import domain
from ops.preflight_checks.eks import addons, kubernetes
from ops.preflight_checks.finding import Probe, Target
from ops.preflight_checks.images import images
from ops.preflight_checks.quotas import quotas
from ops.preflight_checks.reservations import reservations
from ops.preflight_checks.state import state
from ops.preflight_checks.zones import offerings, zones

Check = Callable[[Aws, Target], list[Probe]]

# `account` comes first: if it is another one, nothing else is asked.
CHECKS: Final[dict[str, Check]] = {
    "account": account,
    "caller": caller,
    "zones": zones,
    "offerings": offerings,
    "quotas": quotas,
    "reservations": reservations,
    "images": images,
    "kubernetes": kubernetes,
    "addons": addons,
    "configuration": addon_configurations,
    "domain": domain,
    "bucket": bucket,
    "state": state,
}
