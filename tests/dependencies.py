"""What a recorded resource waits for."""

from ops.recorder import Recorder


def before(recorder: Recorder, urn: str) -> set[str]:
    """Return the URNs of all that must be there before a resource: what it reads, its provider, and what those wait for."""
    by_urn = {registration.urn: registration for registration in recorder.registrations}
    seen: set[str] = set()
    todo = [urn]
    while todo:
        found = by_urn[todo.pop()]
        for other in (*found.dependencies, found.provider):
            if other and other not in seen:
                seen.add(other)
                todo.append(other)
    return seen
