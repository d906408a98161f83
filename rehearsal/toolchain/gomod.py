"""Reads versions out of a go.mod, so that a tool's version is written in one place only."""

import re
from pathlib import Path


def required_version(go_mod: Path, module: str) -> str:
    """The version at which `go_mod` requires `module`, such as `v1.36.3`.

    :raises ValueError: the file does not require the module.
    """
    pattern = rf"^\s*(?:require\s+)?{re.escape(module)}\s+(v\S+)\s*(?://.*)?$"
    found = re.search(pattern, go_mod.read_text(encoding="utf-8"), re.MULTILINE)
    if found is None:
        raise ValueError(f"{go_mod} does not require {module}")
    return found.group(1)
