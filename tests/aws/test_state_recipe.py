"""The commands of docs/state.md, run as somebody would who copies them: `vp preflight` then finds nothing missing."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from components.state_backend import PulumiRun, compare_state
from ops.preflight import answer
from ops.preflight_checks.aws import Aws
from ops.preflight_checks.state import state
from tests.conftest import ROOT
from tests.unit.preflight_stubs import REGION, prod, target_of

pytestmark = pytest.mark.unit

DOCUMENT: Final = ROOT / "docs" / "state.md"
SECONDS: Final = 120
# The pinned pulumi asks S3 through an older SDK, which knows no other address than Amazon's, unless its URL says v2.
NEWER_SDK: Final = r"s/?region=\([a-z0-9-]*\)/?region=\1\&awssdk=v2/g"
Client = Callable[[str], Any]
Shell = Callable[[str], str]


def blocks(language: str) -> dict[str, list[str]]:
    """The code blocks of a language, by the heading that they stand under."""
    found: dict[str, list[str]] = {}
    for section in DOCUMENT.read_text(encoding="utf-8").split("\n## "):
        heading = section.partition("\n")[0]
        for match in re.finditer(rf"^```{language}\n(.*?)^```$", section, re.DOTALL | re.MULTILINE):
            found.setdefault(heading, []).append(match[1])
    return found


@pytest.fixture
def shell(aws_endpoint: str, tmp_path: Path) -> Shell:
    """Runs a block in a folder with the project's stack, with an `aws` that asks the server on loopback."""
    assert aws_endpoint
    (tmp_path / "bin").mkdir()
    (tmp_path / "project").mkdir()
    for name in ("Pulumi.yaml", "Pulumi.prod.yaml"):
        (tmp_path / "project" / name).write_bytes((ROOT / name).read_bytes())
    python = f"cd {shlex.quote(str(ROOT))} && exec {shlex.quote(sys.executable)} -m tests.aws.aws_command"
    scripts = {"aws": f'{python} "$@"'}
    pulumi = ROOT / ".tools" / "bin" / "pulumi"
    if pulumi.exists():
        words = f'args=(); for word in "$@"; do args+=("$(sed {shlex.quote(NEWER_SDK)} <<<"$word")"); done'
        scripts["pulumi"] = f'{words}\nexec {shlex.quote(str(pulumi))} "${{args[@]}}" --non-interactive'
    for name, text in scripts.items():
        script = tmp_path / "bin" / name
        script.write_text(f"#!/usr/bin/env bash\n{text}\n")
        script.chmod(0o755)
    own = {
        "PATH": os.pathsep.join([str(tmp_path / "bin"), os.environ["PATH"]]),
        "PULUMI_HOME": str(tmp_path / "home"),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_CONFIG_PASSPHRASE": "old",
        "AWS_REGION": REGION,
    }

    def run(text: str) -> str:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PULUMI_")} | own
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text],  # noqa: S607 - bash of PATH, as in a terminal
            cwd=tmp_path / "project",
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{text}\nended with status {done.returncode}:\n{done.stdout}"
        return done.stdout

    return run


@pytest.fixture
def with_state(shell: Shell, aws_client: Client) -> Shell:
    """A shell with bucket and key, in a second, and without the policy: it denies plain HTTP, which the server speaks."""
    aws_client("s3").create_bucket(Bucket="acme-llm-pulumi-state")
    key = aws_client("kms").create_key()["KeyMetadata"]["KeyId"]
    aws_client("kms").create_alias(AliasName="alias/llm-pulumi-prod", TargetKeyId=key)
    return shell


@pytest.fixture
def needs_pulumi() -> None:
    if not (ROOT / ".tools" / "bin" / "pulumi").exists():
        pytest.skip("pulumi is not built here: `vp tools build`")


def compared(folder: Path) -> list[str]:
    """Every problem and warning that the program would have with the stack's state."""
    where = prod().state
    assert where
    run = PulumiRun(environment={"PULUMI_HOME": str(folder / "home")}, folder=folder / "project", home=folder)
    found = compare_state(where, "prod", run)
    return [*map(str, found.problems), *found.warnings]


def test_after_the_commands_preflight_finds_the_state_as_it_should_be(
    shell: Shell, aws_client: Client
) -> None:
    for heading in ("Keys", "Bucket"):
        for block in blocks("bash")[heading]:
            shell(block)
    probes = state(Aws(REGION), target_of(prod()))
    found = {probe.subject: answer("state", probe) for probe in probes}
    assert [one for one in found.values() if one.status != "ok"] == []
    assert found["bucket acme-llm-pulumi-state, encryption"].found == "aws:kms"
    policy = json.loads(aws_client("s3").get_bucket_policy(Bucket="acme-llm-pulumi-state")["Policy"])
    (statement,) = policy["Statement"]
    assert statement["Effect"] == "Deny"
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    kms = aws_client("kms")
    aliases = {
        one["AliasName"]: one["TargetKeyId"] for one in kms.list_aliases()["Aliases"] if "TargetKeyId" in one
    }
    own = {name: key for name, key in aliases.items() if "pulumi" in name}
    assert len(set(own.values())) == 3
    assert all(kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"] for key in own.values())


@pytest.mark.usefixtures("needs_pulumi")
def test_a_stack_that_is_made_as_shown_is_taken_by_the_program(with_state: Shell, tmp_path: Path) -> None:
    (block,) = blocks("bash")["Stack"]
    with_state(block)
    assert compared(tmp_path) == []
    written = yaml.safe_load((tmp_path / "project" / "Pulumi.prod.yaml").read_text())
    assert written["encryptedkey"]


@pytest.mark.usefixtures("needs_pulumi")
def test_a_stack_moves_to_another_key_and_backend_with_its_secrets(with_state: Shell, tmp_path: Path) -> None:
    change, move = blocks("bash")["A stack that is there already"]
    (tmp_path / "old").mkdir()
    with_state(
        f"pulumi login file://{tmp_path}/old; pulumi stack init prod; pulumi config set --secret token hello"
    )
    assert len(compared(tmp_path)) == 2
    with_state(change)
    assert len(compared(tmp_path)) == 1
    with_state(move)
    assert compared(tmp_path) == []
    secrets = json.loads(with_state("pulumi config --show-secrets --json"))
    assert secrets["vllm-platform:token"]["value"] == "hello"


def test_the_policy_names_what_the_stack_names_and_no_more() -> None:
    (text,) = blocks("json")["Rights"]
    policy = json.loads(text)
    where, account = prod().state, target_of(prod()).cluster.account
    assert where
    bucket = where.backend.removeprefix("s3://").partition("?")[0]
    alias = where.secrets_provider.removeprefix("awskms://").partition("?")[0]
    first, objects, keys = policy["Statement"]
    assert first["Resource"] == [f"arn:aws:s3:::{bucket}"]
    assert objects["Resource"] == [f"arn:aws:s3:::{bucket}/.pulumi/*"]
    assert keys["Resource"] == [f"arn:aws:kms:{REGION}:{account}:key/*"]
    assert alias in keys["Condition"]["ForAnyValue:StringEquals"]["kms:ResourceAliases"]
    actions = [action for statement in policy["Statement"] for action in statement["Action"]]
    assert not [action for action in actions if "*" in action]


def test_the_settings_that_are_shown_are_those_of_prod() -> None:
    (block,) = blocks("yaml")["# State"]
    shown = yaml.safe_load(block)["vllm-platform:state"]
    where = prod().state
    assert where
    assert shown == {"backend": where.backend, "secrets_provider": where.secrets_provider}
