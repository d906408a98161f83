"""Controllers that listen on all addresses, run for real: in namespaces of their own, where nothing of the machine is reached."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.rehearsal.conftest import REPOSITORY

pytestmark = pytest.mark.rehearsal

SECONDS: Final = 400
# All that starts in there ends with it: the first process of a namespace of processes takes the others along.
ISOLATED: Final = ("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
AS_ROOT: Final = () if os.geteuid() == 0 else ("--map-root-user",)


@pytest.fixture
def isolated() -> list[str]:
    """The command that runs another one in namespaces of its own."""
    command = [*ISOLATED, *AS_ROOT]
    try:
        probe = subprocess.run([*command, "true"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("unshare (util-linux) is not here")
    if probe.returncode:
        pytest.skip(f"this machine lets nobody make namespaces: {probe.stderr.strip()}")
    return command


def test_envoy_gateway_accepts_its_class_and_makes_the_proxies_that_the_program_describes(
    isolated: list[str], tmp_path: Path
) -> None:
    tests = REPOSITORY / "tests" / "rehearsal" / "namespaced" / "envoy_gateway.py"
    command = [*isolated, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    done = subprocess.run(
        [*command, f"--basetemp={tmp_path / 'inside'}", str(tests)],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 passed" in done.stdout
