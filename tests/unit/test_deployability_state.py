"""Where Pulumi keeps a run's state and what encrypts its secrets, read from files as the engine reads them."""

import json
from pathlib import Path

import pytest

from components.state_backend import PulumiRun, actual_backend, compare_state, place, same_key, shown
from settings.state import State

pytestmark = pytest.mark.unit

BACKEND = "s3://acme-state?region=us-east-1"
KEY = "awskms://alias/pulumi?region=us-east-1"
STATE = State(backend=BACKEND, secrets_provider=KEY)


def run_in(folder: Path, **environment: str) -> PulumiRun:
    return PulumiRun(environment=environment, folder=folder, home=folder / "home")


def log_in(folder: Path, url: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    content = {"current": url, "accessTokens": {url: "not to be read"}}
    (folder / "credentials.json").write_text(json.dumps(content))


class TestBackend:
    def test_a_login_is_found_below_the_home_folder(self, tmp_path: Path) -> None:
        log_in(tmp_path / "home" / ".pulumi", BACKEND)
        found = actual_backend(run_in(tmp_path))
        assert found
        assert (found.url, found.source) == (BACKEND, "the last `pulumi login`")

    @pytest.mark.parametrize("variable", ["PULUMI_HOME", "PULUMI_CREDENTIALS_PATH"])
    def test_a_login_is_found_where_a_variable_says(self, variable: str, tmp_path: Path) -> None:
        log_in(tmp_path / "home" / ".pulumi", "file://~")
        log_in(tmp_path / "elsewhere", BACKEND)
        found = actual_backend(run_in(tmp_path, **{variable: str(tmp_path / "elsewhere")}))
        assert found
        assert found.url == BACKEND

    def test_the_project_file_overrules_the_login(self, tmp_path: Path) -> None:
        log_in(tmp_path / "home" / ".pulumi", "file://~")
        (tmp_path / "Pulumi.yaml").write_text(f"name: any\nbackend:\n  url: {BACKEND}\n")
        found = actual_backend(run_in(tmp_path))
        assert found
        assert (found.url, found.source) == (BACKEND, "backend.url in Pulumi.yaml")

    def test_the_variable_overrules_the_project_file(self, tmp_path: Path) -> None:
        (tmp_path / "Pulumi.yaml").write_text("name: any\nbackend:\n  url: file://~\n")
        found = actual_backend(run_in(tmp_path, PULUMI_BACKEND_URL=BACKEND))
        assert found
        assert found.url == BACKEND

    @pytest.mark.parametrize("content", ["", "{", "[]", '{"current": 7}', '{"current": ""}'])
    def test_a_login_that_can_not_be_read_is_none(self, content: str, tmp_path: Path) -> None:
        log_in(tmp_path / "home" / ".pulumi", BACKEND)
        (tmp_path / "home" / ".pulumi" / "credentials.json").write_text(content)
        assert actual_backend(run_in(tmp_path)) is None

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("s3://acme-state?region=us-east-1", "s3://acme-state"),
            ("s3://acme-state/team", "s3://acme-state/team/?awssdk=v2"),
            ("https://api.pulumi.com", "https://API.pulumi.com/"),
            ("file://~", "file://~/"),
        ],
    )
    def test_one_place_may_be_written_in_two_ways(self, one: str, other: str, tmp_path: Path) -> None:
        assert place(one, run_in(tmp_path)) == place(other, run_in(tmp_path))

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("s3://acme-state", "s3://acme-states"),
            ("s3://acme-state", "gs://acme-state"),
            ("s3://acme-state", "s3://acme-state/team"),
            ("s3://acme-state", "s3://acme-state?endpoint=localhost:9000"),
            ("azblob://state?storage_account=one", "azblob://state?storage_account=two"),
            ("file://~", "file://~/state"),
            ("https://api.pulumi.com", "https://pulumi.internal"),
        ],
    )
    def test_two_places_are_told_apart(self, one: str, other: str, tmp_path: Path) -> None:
        assert place(one, run_in(tmp_path)) != place(other, run_in(tmp_path))

    @pytest.mark.parametrize(
        ("environment", "project", "fix"),
        [
            ({"PULUMI_BACKEND_URL": "file://~"}, "", "unset PULUMI_BACKEND_URL"),
            ({}, "backend: {url: file://~}\n", "remove `backend` from Pulumi.yaml"),
            ({}, "", f"`pulumi login '{BACKEND}'`"),
        ],
    )
    def test_the_fix_is_for_the_place_that_decided(
        self, environment: dict[str, str], project: str, fix: str, tmp_path: Path
    ) -> None:
        log_in(tmp_path / "home" / ".pulumi", "file://~")
        (tmp_path / "Pulumi.yaml").write_text(f"name: any\n{project}")
        (problem,) = compare_state(STATE, "prod", run_in(tmp_path, **environment)).problems
        assert problem.path == "state.backend"
        assert problem.fix.startswith(fix)


class TestSecretsProvider:
    def written(self, folder: Path, text: str) -> PulumiRun:
        (folder / "Pulumi.prod.yaml").write_text(text)
        return run_in(folder, PULUMI_BACKEND_URL=BACKEND)

    def test_the_stack_s_own_key_passes(self, tmp_path: Path) -> None:
        found = compare_state(STATE, "prod", self.written(tmp_path, f"secretsprovider: {KEY}\n"))
        assert (found.problems, found.warnings) == ((), ())

    @pytest.mark.parametrize(
        ("text", "found"),
        [
            ("secretsprovider: awskms://alias/other?region=us-east-1\n", "awskms://alias/other"),
            ("encryptionsalt: v1:abc\n", "passphrase"),
            ("secretsprovider: passphrase\nencryptionsalt: v1:abc\n", "passphrase"),
            ("secretsprovider: default\nencryptionsalt: v1:abc\n", "passphrase"),
        ],
    )
    def test_another_key_is_refused(self, text: str, found: str, tmp_path: Path) -> None:
        (problem,) = compare_state(STATE, "prod", self.written(tmp_path, text)).problems
        assert problem.path == "state.secrets_provider"
        assert found in problem.reason
        assert f"pulumi stack change-secrets-provider '{KEY}'" in problem.fix

    def test_a_passphrase_passes_where_the_stack_says_so(self, tmp_path: Path) -> None:
        state = State(backend=BACKEND, secrets_provider="passphrase")
        found = compare_state(state, "prod", self.written(tmp_path, "encryptionsalt: v1:abc\n"))
        assert (found.problems, found.warnings) == ((), ())

    def test_pulumi_cloud_s_own_key_is_another_one(self, tmp_path: Path) -> None:
        cloud = "https://api.pulumi.com"
        state = State(backend=cloud, secrets_provider=KEY)
        (tmp_path / "Pulumi.prod.yaml").write_text("config: {}\n")
        (problem,) = compare_state(state, "prod", run_in(tmp_path, PULUMI_BACKEND_URL=cloud)).problems
        assert "the key of Pulumi Cloud" in problem.reason

    def test_a_file_that_names_no_key_leaves_it_open(self, tmp_path: Path) -> None:
        found = compare_state(STATE, "prod", self.written(tmp_path, "config: {}\n"))
        assert found.problems == ()
        assert "Pulumi.prod.yaml does not say" in found.warnings[0]

    def test_an_alias_and_an_id_leave_it_open(self, tmp_path: Path) -> None:
        text = "secretsprovider: awskms://1234abcd-12ab-34cd-56ef-1234567890ab?region=us-east-1\n"
        found = compare_state(STATE, "prod", self.written(tmp_path, text))
        assert found.problems == ()
        assert "write both the same way" in found.warnings[0]

    @pytest.mark.parametrize(
        ("other", "same"),
        [
            ("awskms:///arn:aws:kms:us-east-1:123456789012:alias/pulumi", True),
            ("awskms://alias/pulumi?region=us-east-1&awssdk=v2", True),
            ("awskms://alias/pulumi?region=eu-west-1", False),
            ("awskms:///arn:aws:kms:eu-west-1:123456789012:alias/pulumi", False),
            ("awskms://alias/pulumi-dev?region=us-east-1", False),
            ("gcpkms://alias/pulumi?region=us-east-1", False),
            ("awskms://alias/pulumi", None),
            ("awskms:///arn:aws:kms:us-east-1:123456789012:key/1234abcd", None),
        ],
    )
    def test_a_key_is_known_by_its_alias_and_region(self, other: str, same: bool | None) -> None:  # noqa: FBT001 - a table
        assert same_key(KEY, other) is same

    def test_keys_of_other_services_are_compared_without_parameters(self) -> None:
        key = "gcpkms://projects/p/locations/l/keyRings/r/cryptoKeys/k"
        assert same_key(key, f"{key}?any=thing") is True
        assert same_key(key, f"{key}2") is False


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("s3://acme?region=us-east-1&secret=x", "s3://acme?region=us-east-1"),
        ("azblob://state?sas_token=x", "azblob://state"),
        ("https://user:word@pulumi.internal/org", "https://pulumi.internal/org"),
        ("passphrase", "passphrase"),
    ],
)
def test_no_credential_of_a_url_is_shown(url: str, text: str) -> None:
    assert shown(url) == text
