"""The cases of all rules."""

from typing import Final

from tests.policies import cloud, gateway, kubernetes, platform
from tests.policies.cases import Case

CASES: Final[tuple[Case, ...]] = (*kubernetes.CASES, *platform.CASES, *gateway.CASES, *cloud.CASES)
