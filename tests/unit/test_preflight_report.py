"""The whole of `vp preflight`: exit status, both forms of its result, and what happens where AWS does not answer."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore import exceptions  # pyright: ignore[reportMissingTypeStubs]
from rich.console import Console

from ops.preflight import ask, preflight
from ops.preflight_checks.aws import Aws
from ops.preflight_checks.calls import CALLS, WHO_AM_I
from ops.preflight_checks.table import CHECKS
from rehearsal.errors import UserError
from tests.conftest import ROOT
from tests.unit.preflight_stubs import REGION, Stubs, everything_is_there, prod, quick_program, target_of

pytestmark = pytest.mark.unit


@pytest.fixture
def stubs() -> Stubs:
    """AWS as a test says that it is."""
    return Stubs()


def run(stack: str, stubs: Stubs, output: Any = "text", root: Path = ROOT) -> tuple[int, str]:  # noqa: ANN401
    file = io.StringIO()
    status = preflight(
        stack, root, output, Console(file=file, width=180), Aws(REGION, stubs.client), program=quick_program
    )
    stubs.nothing_left()
    return status, file.getvalue()


def test_a_stack_that_lacks_nothing_exits_0(stubs: Stubs) -> None:
    everything_is_there(stubs)
    status, printed = run("prod", stubs, "json")
    report = json.loads(printed)
    assert [one for one in report["findings"] if one["status"] != "ok"] == []
    assert (status, report["ok"], report["stack"]) == (0, True, "prod")
    assert report["counts"] == {"ok": len(report["findings"]), "missing": 0, "unknown": 0}
    assert list(dict.fromkeys(one["check"] for one in report["findings"])) == list(CHECKS)


def test_what_is_missing_exits_1_and_names_found_needed_and_fix(stubs: Stubs) -> None:
    everything_is_there(stubs, quotas={"L-DB2E81BA": 64})
    status, printed = run("prod", stubs, "json")
    report = json.loads(printed)
    (lacking,) = (one for one in report["findings"] if one["status"] == "missing")
    assert (status, report["ok"]) == (1, False)
    assert lacking.keys() == {"check", "subject", "status", "found", "needed", "fix"}
    assert (lacking["check"], lacking["found"]) == ("quotas", "64 vCPU")
    assert lacking["needed"] == "192 vCPU: a10 24 x 8"
    assert "--desired-value 192" in lacking["fix"]


def test_what_is_unknown_is_a_warning_and_exits_0(stubs: Stubs) -> None:
    everything_is_there(stubs, version_denied=True)
    status, printed = run("prod", stubs)
    assert status == 0
    assert "Not known:" in printed
    assert "fix: allow eks:DescribeClusterVersions to the caller" in printed


def test_the_text_has_a_row_for_every_finding_and_a_fix_for_every_lack(stubs: Stubs) -> None:
    everything_is_there(stubs, quotas={"L-DB2E81BA": 64, "L-0263D0A3": 1})
    status, printed = run("prod", stubs)
    assert status == 1
    assert "Missing:" in printed
    assert "  2. quotas, EC2-VPC Elastic IPs (L-0263D0A3): 1 addresses; needed: 2 addresses" in printed
    assert "34 ok, 2 missing, 0 unknown" in printed
    assert printed.count("fix: ") == 2


def test_of_another_account_nothing_else_is_asked(stubs: Stubs) -> None:
    stubs.answers(WHO_AM_I, {"Account": "999999999999", "Arn": "arn:aws:iam::999999999999:user/ann"})
    status, printed = run("prod", stubs, "json")
    (only,) = json.loads(printed)["findings"]
    assert (status, only["check"], only["found"]) == (1, "account", "999999999999")


@pytest.mark.parametrize("output", ["text", "json"])
def test_a_stack_that_is_not_on_eks_asks_nothing_and_exits_0(output: str, stubs: Stubs) -> None:
    status, printed = run("local", stubs, output)
    assert status == 0
    assert "cluster.kind is rehearsal: the program creates nothing on AWS" in printed


@pytest.mark.parametrize("output", ["text", "json"])
def test_refused_settings_are_told_and_nothing_is_asked(output: str, stubs: Stubs, tmp_path: Path) -> None:
    status, printed = run("gone", stubs, output, root=tmp_path)
    assert status == 1
    assert "there is no such stack file" in printed


def failing(error: Exception) -> Callable[[str, str], Any]:
    def client(_service: str, _region: str) -> Any:  # noqa: ANN401
        raise error

    return client


@pytest.mark.parametrize(
    "error",
    [
        exceptions.NoCredentialsError(),
        exceptions.ProfileNotFound(profile="nobody"),
        exceptions.UnauthorizedSSOTokenError(),
        exceptions.PartialCredentialsError(provider="env", cred_var="AWS_SECRET_ACCESS_KEY"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_without_credentials_one_message_says_what_to_do(error: Exception) -> None:
    with pytest.raises(UserError, match="no AWS credentials that can be used") as said:
        list(ask(Aws(REGION, failing(error)), target_of(prod())))
    assert "AWS_PROFILE" in str(said.value)


@pytest.mark.parametrize("code", ["ExpiredToken", "InvalidClientTokenId", "SignatureDoesNotMatch"])
def test_credentials_that_are_no_good_end_it_with_one_message(code: str, stubs: Stubs) -> None:
    stubs.refuses(WHO_AM_I, code, status=403)
    with pytest.raises(UserError, match=f"AWS refuses the credentials: {code}"):
        list(ask(Aws(REGION, stubs.client), target_of(prod())))


def test_every_call_only_reads() -> None:
    assert not [
        call for call in CALLS if not call.operation.startswith(("get_", "describe_", "head_", "list_"))
    ]
    assert len({call.operation for call in CALLS}) == len(CALLS)
