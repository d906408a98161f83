"""Which pulumi is used: the user's own where it fits, else the one that is built here."""

import os
from pathlib import Path

import pytest

from rehearsal.errors import UserError
from rehearsal.toolchain import Places, Toolchain, pulumi_command
from rehearsal.toolchain.outputs import Output, unlink_tool
from rehearsal.toolchain.pulumi_install import PulumiInstall, install_kubernetes_plugin
from rehearsal.toolchain.table import tool_named

# Answers as the CLI does: `pulumi version`, and `plugin install`, of which it keeps a record.
FAKE = """#!/bin/sh
if [ "$1" = version ]; then echo "{version}"; exit 0; fi
echo "$@" >> "$PULUMI_HOME/calls"
mkdir -p "$PULUMI_HOME/plugins/resource-kubernetes-v4.25.0"
touch "$PULUMI_HOME/plugins/resource-kubernetes-v4.25.0/pulumi-resource-kubernetes"
"""


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    """Empty places, and a PATH with nothing but the system's own folders and one for a fake."""
    monkeypatch.delenv("VP_PULUMI", raising=False)
    (tmp_path / "user").mkdir()
    monkeypatch.setenv("PATH", os.pathsep.join([str(tmp_path / "user"), "/usr/bin", "/bin"]))
    return Places(project=tmp_path / "project", cache=tmp_path / "cache")


def executable(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def on_path(tmp_path: Path, version: str, *, language_host: bool = True) -> Path:
    if language_host:
        executable(tmp_path / "user" / "pulumi-language-python", "#!/bin/sh\n")
    return executable(tmp_path / "user" / "pulumi", FAKE.format(version=version))


@pytest.mark.parametrize("version", ["v3.220.0", "v3.231.4", "3.300.1-alpha.1"])
def test_a_fitting_pulumi_of_the_user_is_used(tmp_path: Path, places: Places, version: str) -> None:
    mine = on_path(tmp_path, version)
    assert pulumi_command(places) == PulumiInstall(path=mine, built=False)


@pytest.mark.parametrize("version", ["v3.219.9", "v2.25.2", "v4.0.0", "v10.1.0"])
def test_a_pulumi_of_another_version_is_left_alone_and_named(
    tmp_path: Path, places: Places, version: str
) -> None:
    on_path(tmp_path, version)
    chosen = pulumi_command(places)
    assert chosen.built
    assert version.removeprefix("v") in chosen.note


def test_a_pulumi_without_its_language_host_does_not_fit(tmp_path: Path, places: Places) -> None:
    on_path(tmp_path, "v3.230.0", language_host=False)
    chosen = pulumi_command(places)
    assert chosen.built
    assert "pulumi-language-python" in chosen.note


def test_a_pulumi_that_fails_does_not_fit(tmp_path: Path, places: Places) -> None:
    executable(tmp_path / "user" / "pulumi", "#!/bin/sh\nexit 1\n")
    chosen = pulumi_command(places)
    assert chosen.built
    assert "does not tell its version" in chosen.note


def test_the_language_host_may_stand_beside_the_program_that_a_link_on_path_points_to(
    tmp_path: Path, places: Places
) -> None:
    real = executable(tmp_path / "opt" / "pulumi", FAKE.format(version="v3.225.0"))
    executable(tmp_path / "opt" / "pulumi-language-python", "#!/bin/sh\n")
    (tmp_path / "user" / "pulumi").symlink_to(real)
    assert not pulumi_command(places).built


def test_one_that_was_built_here_is_not_taken_for_the_user_s_own(tmp_path: Path, places: Places) -> None:
    built = executable(places.outputs / "pulumi-0" / "bin" / "pulumi", FAKE.format(version="v3.220.0"))
    executable(built.parent / "pulumi-language-python", "#!/bin/sh\n")
    (tmp_path / "user" / "pulumi").symlink_to(built)
    assert pulumi_command(places) == PulumiInstall(path=places.links / "pulumi", built=True)


def test_without_a_pulumi_it_is_built_and_nothing_is_said(places: Places) -> None:
    assert pulumi_command(places) == PulumiInstall(path=places.links / "pulumi", built=True)


def test_built_can_be_forced(tmp_path: Path, places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    on_path(tmp_path, "v3.230.0")
    monkeypatch.setenv("VP_PULUMI", "built")
    assert pulumi_command(places).built


def test_system_can_be_forced_and_is_refused_where_there_is_none(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VP_PULUMI", "system")
    with pytest.raises(UserError, match=r"no pulumi on PATH\. Install Pulumi 3\.220\.0 or later"):
        pulumi_command(places)


def test_another_wish_is_refused(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VP_PULUMI", "mine")
    with pytest.raises(UserError, match="VP_PULUMI=mine"):
        pulumi_command(places)


@pytest.mark.parametrize("built", [True, False])
def test_only_a_built_pulumi_gets_a_home_of_its_own(
    places: Places, monkeypatch: pytest.MonkeyPatch, *, built: bool
) -> None:
    monkeypatch.delenv("PULUMI_HOME", raising=False)
    environment = Toolchain(places=places, pulumi=PulumiInstall(path=Path("pulumi"), built=built)).env()
    assert environment.get("PULUMI_HOME") == (str(places.pulumi_home) if built else None)


def test_links_of_a_built_pulumi_do_not_hide_the_user_s_own(places: Places) -> None:
    for name in ("pulumi", "pulumi-language-python", "pulumi-language-python-exec", "etcd"):
        executable(places.links / name, "")
    for name in ("pulumi", "pulumi-language-python", "pulumi-kubernetes"):
        unlink_tool(tool_named(name), places)
    assert [path.name for path in places.links.iterdir()] == ["etcd"]


def test_the_plugin_is_installed_once_per_build_of_it(tmp_path: Path, places: Places) -> None:
    cli = executable(tmp_path / "cli", FAKE.format(version="v3.220.0"))
    environment = os.environ | {"PULUMI_HOME": str(places.pulumi_home)}

    def install(build: str) -> int:
        provider = Output(
            tool=tool_named("pulumi-kubernetes"), version="v4.25.0", folder=places.outputs / build
        )
        install_kubernetes_plugin(cli, provider, places, environment)
        return len((places.pulumi_home / "calls").read_text().splitlines())

    assert [install("first"), install("first"), install("second"), install("second")] == [1, 1, 2, 2]
    binary = places.outputs / "second" / "bin" / "pulumi-resource-kubernetes"
    last = (places.pulumi_home / "calls").read_text().splitlines()[-1]
    assert last == f"plugin install resource kubernetes v4.25.0 --file {binary} --reinstall"


def test_a_plugin_that_the_cli_refuses_is_an_error_with_its_words(tmp_path: Path, places: Places) -> None:
    cli = executable(tmp_path / "cli", "#!/bin/sh\necho no such luck >&2\nexit 3\n")
    provider = Output(tool=tool_named("pulumi-kubernetes"), version="v4.25.0", folder=places.outputs / "x")
    with pytest.raises(UserError, match="exit code 3:\nno such luck"):
        install_kubernetes_plugin(cli, provider, places, dict(os.environ))
