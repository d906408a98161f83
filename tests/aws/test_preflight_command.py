"""The command `vp preflight` itself, against the server on loopback, and without any credentials."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from botocore.config import Config  # pyright: ignore[reportMissingTypeStubs]
from typer.testing import CliRunner

from ops.cli import app
from ops.preflight_checks import aws
from tests.conftest import ROOT

pytestmark = pytest.mark.unit

AWS_VARIABLES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_PROFILE",
    "AWS_CONFIG_FILE",
    "AWS_ENDPOINT_URL",
)


@pytest.fixture
def one_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the server can not do it can not do at the third attempt either."""
    monkeypatch.setattr(aws, "CONFIG", Config(retries={"total_max_attempts": 1}))


@pytest.mark.usefixtures("aws_endpoint", "one_attempt")
def test_it_prints_one_document_and_says_what_the_server_lacks() -> None:
    done = CliRunner().invoke(app, ["preflight", "prod", "--output", "json"])
    report = json.loads(done.stdout)
    statuses = {one["check"]: one["status"] for one in report["findings"]}
    assert (done.exit_code, report["ok"], report["account"]) == (1, False, "123456789012")
    assert statuses == {
        "account": "ok",
        "caller": "missing",
        "zones": "ok",
        "offerings": "ok",
        "quotas": "unknown",
        "reservations": "unknown",
        "images": "missing",
        "kubernetes": "unknown",
        "addons": "unknown",
        "configuration": "unknown",
        "domain": "missing",
        "bucket": "ok",
        "state": "missing",
    }
    assert all(one["fix"] for one in report["findings"] if one["status"] != "ok")


@pytest.mark.usefixtures("aws_endpoint", "one_attempt")
def test_as_text_it_ends_with_the_counts() -> None:
    done = CliRunner().invoke(app, ["preflight", "prod"])
    assert done.exit_code == 1
    assert "Missing:" in done.stdout
    assert "Not known:" in done.stdout
    assert "Traceback" not in done.output


def test_without_credentials_it_ends_with_one_message(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in AWS_VARIABLES}
    own = {"AWS_EC2_METADATA_DISABLED": "true", "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "ops.cli", "preflight", "prod"],
        cwd=ROOT,
        env=environment | own,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    first, second = done.stderr.strip().splitlines()
    assert first.startswith("no AWS credentials that can be used: ")
    assert second.startswith("fix: give boto3 credentials")
