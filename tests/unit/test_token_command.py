"""Test tokens and their keys: who may have one, and where the private half goes. That a gateway takes them is tested over the wire."""

import base64
import json
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from ops.token import mint
from ops.token_cli import app
from ops.token_keys import new_key, public_half, read_private, write_private
from rehearsal.errors import UserError
from settings import Settings
from settings.gateway import (
    Consumer,
    Gateway,
    JwtAuthentication,
    LocalKeys,
    NoAuthentication,
    PublicKey,
    RemoteKeys,
)

pytestmark = pytest.mark.unit

KEY = new_key()
NOW = 1_700_000_000


def _settings(local: Settings, **changes: Any) -> Settings:  # noqa: ANN401
    jwt = JwtAuthentication(
        kind="jwt",
        issuer="https://login.example.com",
        audiences=("llm", "other"),
        keys=LocalKeys(kind="local", keys=(PublicKey.model_validate(public_half(KEY)),)),
    ).model_copy(update=changes.pop("authentication", {}))
    gateway = Gateway(authentication=jwt, consumers=changes.pop("consumers", ()))
    return local.model_copy(update={"environment": "dev", "gateway": gateway, **changes})


def _token(settings: Settings, consumer: str = "team-a", model: str | None = None) -> dict[str, Any]:
    part = mint(settings, KEY, consumer, minutes=5, now=NOW, model=model).split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


class TestTokens:
    def test_one_says_who_for_whom_and_until_when(self, local: Settings) -> None:
        assert _token(_settings(local)) == {
            "iss": "https://login.example.com",
            "aud": "llm",
            "iat": NOW,
            "exp": NOW + 300,
            "sub": "team-a",
        }

    def test_the_consumer_is_where_the_stack_looks_for_it(self, local: Settings) -> None:
        inside = _settings(local, authentication={"consumer_claim": "organization.id"})
        assert _token(inside)["organization"] == {"id": "team-a"}

    def test_a_consumer_of_the_model_gets_one(self, local: Settings) -> None:
        name = local.enabled_models[0].name
        named = _settings(local, consumers=(Consumer(name="team-a", models=(name,)),))
        assert _token(named, model=name)["sub"] == "team-a"

    @pytest.mark.parametrize("environment", ["staging", "prod"])
    def test_outside_of_dev_there_is_none(self, local: Settings, environment: str) -> None:
        with pytest.raises(UserError, match=f"this one is {environment}: ask the issuer"):
            _token(_settings(local, environment=environment))

    def test_nobody_needs_one_where_none_is_asked_for(self, local: Settings) -> None:
        open_gateway = Gateway(authentication=NoAuthentication(kind="off"))
        settings = local.model_copy(update={"environment": "dev", "gateway": open_gateway})
        with pytest.raises(UserError, match="asks for no tokens"):
            _token(settings)

    def test_keys_of_an_issuer_are_the_issuer_s(self, local: Settings) -> None:
        remote = RemoteKeys(kind="remote", uri="https://login.example.com/jwks.json")
        with pytest.raises(UserError, match="only the issuer can sign"):
            _token(_settings(local, authentication={"keys": remote}))

    def test_a_key_that_the_stack_does_not_know_signs_nothing(self, local: Settings) -> None:
        other = LocalKeys(kind="local", keys=(PublicKey.model_validate(public_half(new_key())),))
        with pytest.raises(UserError, match="does not know this key"):
            _token(_settings(local, authentication={"keys": other}))

    def test_a_stranger_gets_none(self, local: Settings) -> None:
        name = local.enabled_models[0].name
        named = _settings(local, consumers=(Consumer(name="team-b", models=(name,)),))
        with pytest.raises(UserError, match="no consumer team-a; it has team-b"):
            _token(named)

    def test_nor_who_may_not_call_the_model(self, local: Settings) -> None:
        first, second = (model.name for model in local.enabled_models[:2])
        named = _settings(local, consumers=(Consumer(name="team-a", models=(first,)),))
        with pytest.raises(UserError, match=f"team-a may not call {second}, but {first}"):
            _token(named, model=second)

    def test_nor_anybody_for_a_model_that_is_not_served(self, local: Settings) -> None:
        with pytest.raises(UserError, match="serves no model gpt"):
            _token(_settings(local), model="gpt")


def _vp(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


class TestKeys:
    def test_the_private_half_is_nobody_else_s_to_read(self, tmp_path: Path) -> None:
        done = _vp("keys", "--out", str(tmp_path / "key.pem"))
        assert done.exit_code == 0, done.output
        assert stat.S_IMODE((tmp_path / "key.pem").stat().st_mode) == 0o600
        assert "PRIVATE" not in done.output

    def test_the_public_half_is_as_a_stack_file_has_it(self, tmp_path: Path) -> None:
        done = _vp("keys", "--out", str(tmp_path / "key.pem"))
        keys = LocalKeys.model_validate(yaml.safe_load(done.stdout)["keys"])
        own = public_half(read_private(tmp_path / "key.pem"))
        assert [key.model_dump() for key in keys.keys] == [own]

    def test_without_a_file_the_private_half_alone_is_printed(self, tmp_path: Path) -> None:
        done = _vp("keys")
        (tmp_path / "key.pem").write_text(done.stdout)
        own = public_half(read_private(tmp_path / "key.pem"))
        assert yaml.safe_load(done.stderr)["keys"]["keys"] == [own]

    def test_a_file_that_is_there_stays(self, tmp_path: Path) -> None:
        (tmp_path / "key.pem").write_text("mine")
        with pytest.raises(UserError, match="is there already"):
            write_private(KEY, tmp_path / "key.pem")
        assert (tmp_path / "key.pem").read_text() == "mine"

    def test_a_folder_that_is_not_there_is_not_made(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="no folder"):
            write_private(KEY, tmp_path / "none" / "key.pem")

    def test_git_never_sees_one(self, tmp_path: Path) -> None:
        subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)  # noqa: S607 - git of PATH
        (tmp_path / ".gitignore").write_text("*.pem\n")
        with pytest.raises(UserError, match="git work tree"):
            write_private(KEY, tmp_path / "key")
        assert not (tmp_path / "key").exists()
        write_private(KEY, tmp_path / "key.pem")

    @pytest.mark.parametrize(
        "content", ["", "no key", "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n"]
    )
    def test_what_is_no_key_is_said_in_words(self, tmp_path: Path, content: str) -> None:
        (tmp_path / "key.pem").write_text(content)
        with pytest.raises(UserError, match="holds no private key"):
            read_private(tmp_path / "key.pem")

    def test_a_file_that_is_not_there_is_said_in_words(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="`vp token keys` makes one"):
            read_private(tmp_path / "key.pem")


def test_a_stack_s_name_is_enough_to_ask_for_a_token(tmp_path: Path) -> None:
    """`vp token STACK`: the command is left out, and of prod it is refused all the same."""
    write_private(KEY, tmp_path / "key.pem")
    done = _vp("prod", "--consumer", "team-a", "--key", str(tmp_path / "key.pem"))
    assert isinstance(done.exception, UserError)
    assert "this one is prod" in str(done.exception)
