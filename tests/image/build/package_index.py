"""How this machine's pip reaches packages, for the pip of a build."""

import ast
import os
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Final

# The rest, such as a folder of this machine, means nothing in a build.
_LEADS_TO_PACKAGES: Final = frozenset({"index-url", "extra-index-url", "trusted-host", "proxy", "cert"})


def pip_configuration(comment: str) -> str:
    """Return a pip.conf that says what this machine's pip is told, by whatever way."""
    lines = [f"{name} = {value}" for name, value in sorted(_settings().items())]
    return "\n".join([f"# {comment}", "[global]", *lines, ""])


def certificates() -> list[Path]:
    """Return the files of certificate authorities that pip and Python are told of."""
    named = {_settings().get("cert"), ssl.get_default_verify_paths().cafile}
    return [Path(path) for path in sorted(filter(None, named)) if Path(path).is_file()]


def _settings() -> dict[str, str]:
    command = [sys.executable, "-m", "pip", "config", "list"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    proxy = os.environ.get("HTTPS_PROXY") or os.environ.get("https_proxy")
    found = {"proxy": proxy} if proxy else {}
    for line in done.stdout.splitlines():
        name, _, value = line.partition("=")
        key = name.rpartition(".")[2]
        if key in _LEADS_TO_PACKAGES:
            found[key] = " ".join(str(ast.literal_eval(value)).split())
    return found
