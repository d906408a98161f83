"""What a pod asks for against what it may have at most."""

from collections.abc import Iterable

from settings.models import Resources
from settings.problems import Problem


def requests_within_limits(resources: Resources, path: str) -> Iterable[Problem]:
    """Return the problems of requests above their limits. `path`: of the requests."""
    requests, limits = resources.requests, resources.limits
    fix = "raise the limit or lower the request"
    if requests.cpu_m > limits.cpu_m:
        yield Problem(f"{path}.cpu", requests.cpu, f"requests more than its limit ({limits.cpu})", fix)
    if requests.memory_mib > limits.memory_mib:
        yield Problem(
            f"{path}.memory", requests.memory, f"requests more than its limit ({limits.memory})", fix
        )
