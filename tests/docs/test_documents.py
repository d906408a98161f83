"""What README and docs say about the project is so: links, commands, files, tests, messages, tables."""

import ast
import re
from pathlib import Path
from typing import Final

import pytest
from typer.main import get_command

from docs.generator.blocks import names_in
from docs.generator.documents import BLOCKS, documents, generated
from docs.generator.meanings import MEANINGS
from docs.generator.settings_reference import used_meanings
from ops import catalogue_cli, cli, cluster_cli, token_cli, tools_cli, vault_cli
from ops.prices import cli as prices_cli
from ops.rollout import cli as rollout_cli
from tests.docs.shown_commands import NOT_RUN, ROOT, RUN, all_blocks

DOCUMENTS: Final = documents(ROOT)
# Everything with a dot that looks like the name of a host, and is none: Go modules and keys of Kubernetes.
NO_HOSTS: Final = {
    "github.com": "Go modules",
    "go.etcd.io": "Go modules",
    "go.opentelemetry.io": "Go modules",
    "istio.io": "Go modules",
    "ambient.istio.io": "keys of annotations",
    "k8s.io": "Go modules",
    "sigs.k8s.io": "Go modules",
    "node.kubernetes.io": "keys of labels",
    "serving.kserve.io": "API groups",
    "vllm-platform.io": "keys of labels",
    "nvidia.com": "keys of labels",
    "topology.kubernetes.io": "keys of labels",
    "pod-security.kubernetes.io": "keys of labels",
    "service.beta.kubernetes.io": "keys of annotations",
    "external.metrics.k8s.io": "API groups",
    "harbor.internal": "a company's own, in an example",
}
_TOP_LEVEL_DOMAINS: Final = "com|org|net|io|dev|ai|cn|internal|cloud"
_INLINE: Final = re.compile(r"`([^`\n]+)`")
_LINK: Final = re.compile(r"\[[^\]]*\]\((?P<target>[^)#\s]*)(?P<anchor>#[\w-]+)?\)")

pytestmark = pytest.mark.unit


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def prose_of(path: Path) -> str:
    """A document without its code blocks."""
    return re.sub(r"^```.*?^```$", "", text_of(path), flags=re.DOTALL | re.MULTILINE)


def inline_code(path: Path) -> list[str]:
    return _INLINE.findall(prose_of(path))


def anchors_of(path: Path) -> set[str]:
    """The anchors that GitHub makes of a document's headings."""
    headings = re.findall(r"^#+ (.*)$", prose_of(path), flags=re.MULTILINE)
    return {"#" + re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    for match in _LINK.finditer(prose_of(path)):
        target = path.parent / match["target"] if match["target"] else path
        assert target.exists(), match[0]
        if match["anchor"]:
            assert match["anchor"] in anchors_of(target), match[0]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_no_host_is_named(path: Path) -> None:
    found = re.findall(rf"\b(?:[a-z0-9-]+\.)+(?:{_TOP_LEVEL_DOMAINS})\b", text_of(path))
    assert not sorted(set(found) - NO_HOSTS.keys())


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_generated_parts_are_as_the_code_has_them(path: Path) -> None:
    assert text_of(path) == generated(path, ROOT), "run `python -m docs.generator`"


def test_every_generated_part_is_in_a_document() -> None:
    assert {name for path in DOCUMENTS for name in names_in(text_of(path))} == set(BLOCKS)


def test_every_setting_has_a_meaning_and_every_meaning_a_setting() -> None:
    assert set(MEANINGS) == used_meanings()


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_files_of_the_project_that_are_named_exist(path: Path) -> None:
    tops = "|".join(re.escape(entry.name) for entry in ROOT.iterdir() if not entry.name.startswith("."))
    named = [code for code in inline_code(path) if re.fullmatch(rf"(?:{tops})/[\w./-]*", code)]
    # NAME and the like stand for something.
    assert not [name for name in named if not re.search(r"\b[A-Z]+\b", name) and not (ROOT / name).exists()]


def names_of_tests(path: Path) -> set[str]:
    """Names of the tests of a file, as pytest writes them behind the file's name."""
    tree = ast.parse(text_of(path))
    inside = {cls.name: cls.body for cls in tree.body if isinstance(cls, ast.ClassDef)}
    members = [
        f"{cls}::{test.name}"
        for cls, body in inside.items()
        for test in body
        if isinstance(test, ast.FunctionDef)
    ]
    return {*members, *(node.name for node in tree.body if isinstance(node, ast.FunctionDef))}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_tests_that_are_named_exist(path: Path) -> None:
    for code in inline_code(path):
        if match := re.fullmatch(r"(tests/[\w/]+\.py)::([\w:]+)", code):
            assert match[2] in names_of_tests(ROOT / match[1]), code


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_commands_of_vp_that_are_named_exist_with_their_options(path: Path) -> None:
    groups: dict[tuple[str, ...], object] = {
        (): get_command(cli.app),
        ("catalogue",): get_command(catalogue_cli.app),
        ("cluster",): get_command(cluster_cli.app),
        ("prices",): get_command(prices_cli.app),
        ("tools",): get_command(tools_cli.app),
        ("vault",): get_command(vault_cli.app),
        ("rollout",): get_command(rollout_cli.app),
        ("token",): get_command(token_cli.app),
    }
    defaults = {"rollout": "run", "token": "mint"}
    known: dict[tuple[str, ...], set[str]] = {
        (*prefix, name): {option for parameter in command.params for option in parameter.opts}
        for prefix, group in groups.items()
        for name, command in getattr(group, "commands", {}).items()
    }
    shown = [
        command
        for block in all_blocks()
        if block.document == str(path.relative_to(ROOT))
        for command in block.commands
    ]
    for command in [*inline_code(path), *shown]:
        if not command.startswith("vp "):
            continue
        words = command.split()[1:]
        name: tuple[str, ...] = tuple(words[:2]) if (words[0],) in groups and len(words) > 1 else (words[0],)
        # `vp rollout MODEL` is `vp rollout run MODEL`.
        if name[0] in defaults and len(name) > 1 and name not in known:
            name = (name[0], defaults[name[0]])
        assert name in known, command
        assert {word for word in words if word.startswith("--")} <= known[name], command


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_targets_of_make_that_are_named_exist_and_are_run_or_listed(path: Path) -> None:
    targets = set(re.findall(r"^([\w-]+):", text_of(ROOT / "Makefile"), flags=re.MULTILINE))
    run = {command for block in all_blocks() if block.language in RUN for command in block.commands}
    for code in inline_code(path):
        if match := re.fullmatch(r"make ([\w-]+)", code):
            assert match[1] in targets, code
            assert code in run or code in NOT_RUN, f"{code} is neither run by a test nor listed with a reason"


def test_the_messages_in_troubleshooting_are_those_of_the_code() -> None:
    # Texts that are split over lines are joined, values are left out.
    files = [
        file
        for folder in ("settings", "components", "rehearsal", "ops")
        for file in (ROOT / folder).rglob("*.py")
    ]
    code = "\n".join(text_of(file) for file in files)
    code = re.sub(r'"\s*\n\s*f?"', "", code)
    rows = re.findall(
        r"^\| `(?P<message>[^`]+)` \|", text_of(ROOT / "docs" / "troubleshooting.md"), flags=re.MULTILINE
    )
    assert rows
    for message in rows:
        for part in message.split("…"):
            assert part.strip(" :.=") in code, f"{part!r} of {message!r}"
