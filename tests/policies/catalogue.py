"""The cases of all rules."""

from typing import Final

from tests.policies import cloud, doors, gateway, kubernetes, parts, platform, rights, secrets
from tests.policies.cases import Case

CASES: Final[tuple[Case, ...]] = (
    *kubernetes.CASES,
    *secrets.CASES,
    *platform.CASES,
    *parts.CASES,
    *gateway.CASES,
    *cloud.CASES,
    *doors.CASES,
    *rights.CASES,
)
