"""What this machine is and has: platform, cores, memory that a build may take."""

import os
import platform
import sys
from pathlib import Path

from rehearsal.errors import UserError

_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
_MEMINFO = Path("/proc/meminfo")
# A container's own limit (cgroup v2): /proc/meminfo shows the memory of the host instead.
_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
_CGROUP_USED = Path("/sys/fs/cgroup/memory.current")
_MIB = 1024 * 1024


def go_platform() -> str:
    """GOOS/GOARCH of this machine: `linux/amd64` or `linux/arm64`.

    :raises UserError: the tools are not built for this platform.
    """
    machine = platform.machine().lower()
    if sys.platform != "linux" or machine not in _ARCHITECTURES:
        raise UserError(
            f"The rehearsal runs on Linux x86-64 and arm64 only; this is {sys.platform} {machine}.\n"
            "`vp check` and `vp render` work here; for a rehearsal use a Linux container or machine."
        )
    return f"linux/{_ARCHITECTURES[machine]}"


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def available_memory_mib() -> int:
    """Memory, in MiB, that can be taken now without swapping; a container's limit counts."""
    free = _meminfo_available() or os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // _MIB
    limit = _cgroup_free()
    return free if limit is None else min(free, limit)


def _meminfo_available() -> int | None:
    if not _MEMINFO.exists():
        return None
    for line in _MEMINFO.read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) // 1024
    return None


def _cgroup_free() -> int | None:
    try:
        limit = _CGROUP_LIMIT.read_text(encoding="ascii").strip()
        used = int(_CGROUP_USED.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    return None if limit == "max" else max(0, int(limit) - used) // _MIB
