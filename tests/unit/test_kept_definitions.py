"""Definitions of kinds stay when their add-on goes, by a mark or by an option, and nothing else of a chart is changed."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pulumi
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from components.addons.definitions import DEFINITION, FORCE, kept_and_light
from components.addons.keep_definitions import MARK, marked
from components.addons.pattern import KEEP_DEFINITIONS

pytestmark = pytest.mark.unit

POLICY: Final = {"helm.sh/resource-policy": "keep"}
WIDGETS: Final = """\
---
# Source: widgets/templates/widgets.yaml
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  annotations:
    controller-gen.kubebuilder.io/version: v0.19.0
  name: widgets.example.com
spec:
  group: example.com
  names: {kind: Widget, plural: widgets, shortNames: ["on", "y"]}
  versions:
  - name: v1
    schema:
      openAPIV3Schema:
        description: |
          The first line.

            An indented one, with a sign that is no ASCII: é.
          ---
          kind: CustomResourceDefinition
        properties:
          spec:
            default: {number: "1e3", octal: "0777", switch: "off"}
            pattern: '^[a-z]+\\d*$'
"""
ANNOTATED: Final = "  annotations:\n    controller-gen.kubebuilder.io/version: v0.19.0\n"
GADGETS: Final = WIDGETS.replace("widgets", "gadgets").replace("Widget", "Gadget")
OTHER: Final = """\
---
# Source: widgets/templates/config.yaml
apiVersion: v1
kind: ConfigMap
metadata:
  annotations:
    number: "1e3"
  name: switches
data:
  answers: "y"
  switch: "on"
  script: |-
    #!/bin/sh
    cat <<END
    kind: CustomResourceDefinition
    metadata:
      annotations:
    END
  folded: >
    one
    two

"""
BARE: Final = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: bare}\n"


def _documents(text: str) -> list[Any]:
    return list(yaml.safe_load_all(text))


def _annotations(text: str) -> dict[str, dict[str, str]]:
    metadata = [document["metadata"] for document in _documents(text)]
    return {each["name"]: each.get("annotations") or {} for each in metadata}


def _render(text: str) -> str:
    return "".join(marked(text.splitlines(keepends=True)))


class TestMark:
    def test_a_definition_has_it_beside_what_it_had(self) -> None:
        before = {"controller-gen.kubebuilder.io/version": "v0.19.0"}
        assert _annotations(_render(WIDGETS)) == {"widgets.example.com": {**before, **POLICY}}

    def test_a_definition_is_otherwise_what_it_was(self) -> None:
        (was,), (is_,) = _documents(WIDGETS), _documents(_render(WIDGETS))
        del is_["metadata"]["annotations"]["helm.sh/resource-policy"]
        assert is_ == was

    @pytest.mark.parametrize(
        "kind", ['kind: "CustomResourceDefinition"', "kind: 'CustomResourceDefinition'  # of ours"]
    )
    def test_its_kind_may_be_quoted(self, kind: str) -> None:
        quoted = WIDGETS.replace("kind: CustomResourceDefinition", kind)
        assert quoted != WIDGETS
        assert _render(quoted).count(MARK) == 1

    def test_the_first_document_needs_no_line_of_its_own_before_it(self) -> None:
        assert WIDGETS.startswith("---\n")
        assert _render(WIDGETS.removeprefix("---\n")).count(MARK) == 1

    def test_each_definition_has_its_own(self) -> None:
        found = _annotations(_render(WIDGETS + OTHER + GADGETS + BARE))
        assert [name for name, annotations in found.items() if POLICY.items() <= annotations.items()] == [
            "widgets.example.com",
            "gadgets.example.com",
        ]

    @pytest.mark.parametrize("other", [OTHER, BARE, "", "---\n", "---\n# Source: nothing\n---\n"])
    def test_what_is_no_definition_is_not_touched(self, other: str) -> None:
        assert _render(other) == other

    @given(st.lists(st.sampled_from([WIDGETS, GADGETS, OTHER, BARE]), max_size=6))
    def test_nothing_but_the_mark_is_added_whatever_the_order(self, documents: Sequence[str]) -> None:
        text = "".join(documents)
        rendered = _render(text)
        assert rendered.count(MARK) == sum("names:" in document for document in documents)
        assert rendered.replace(f"{MARK}\n", "") == text

    @pytest.mark.parametrize("instead", ["", "  annotations: {}\n"], ids=["without", "in-one-line"])
    @pytest.mark.parametrize("before", ["", OTHER, GADGETS])
    @pytest.mark.parametrize("behind", ["", OTHER, GADGETS])
    def test_one_that_can_not_be_marked_stops_it(self, instead: str, before: str, behind: str) -> None:
        """Without the mark all of its objects would go with the release."""
        unmarkable = WIDGETS.replace(ANNOTATED, instead)
        assert unmarkable != WIDGETS
        with pytest.raises(ValueError, match="no annotations"):
            _render(before + unmarkable + behind)


class TestProcess:
    """As Helm runs it: by its path, with the manifests on stdin."""

    def _run(self, root: Path, text: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
        command = root / KEEP_DEFINITIONS
        assert os.access(command, os.X_OK)
        # The interpreter that `env` finds, without this project's packages: a shell's PYTHONPATH is not there.
        path = os.pathsep.join([str(Path(sys.executable).parent), "/usr/bin", "/bin"])
        return subprocess.run(
            [command],
            input=text.encode(),
            capture_output=True,
            check=False,
            env={"PATH": path, **environment},
            cwd=root,
            timeout=60,
        )

    @pytest.mark.parametrize("language", ["C", "C.UTF-8", "POSIX"])
    def test_it_prints_what_it_read_with_the_marks(self, root: Path, language: str) -> None:
        text = WIDGETS + OTHER + GADGETS
        done = self._run(root, text, LC_ALL=language)
        assert (done.returncode, done.stderr) == (0, b"")
        assert done.stdout.decode() == _render(text)

    def test_nothing_gives_nothing(self, root: Path) -> None:
        done = self._run(root, "")
        assert (done.returncode, done.stdout) == (0, b"")

    def test_helm_hears_of_one_that_can_not_be_marked(self, root: Path) -> None:
        done = self._run(root, WIDGETS.replace("  annotations:", "  labels:"))
        assert done.returncode != 0
        assert b"a definition has no annotations" in done.stderr


def _transformed(
    type_: str, props: dict[str, Any], *, custom: bool = True, opts: pulumi.ResourceOptions | None = None
) -> pulumi.ResourceTransformResult:
    options = opts or pulumi.ResourceOptions()
    return kept_and_light(pulumi.ResourceTransformArgs(custom, type_, "thing", props, options))


class TestTransform:
    """What is done to a definition that is an object of the program."""

    SCHEMA: Final = {
        "description": "What a widget is.",
        "properties": {
            "description": {"description": "What it is for.", "type": "string", "default": "none"},
            "parts": {"items": {"description": "A part.", "type": "object"}, "type": "array"},
            "name": {"enum": ["description", "on"], "type": "string"},
        },
        "required": ["description"],
        "anyOf": [{"description": "One way.", "required": ["name"]}],
    }
    LIGHT: Final = {
        "properties": {
            "description": {"type": "string", "default": "none"},
            "parts": {"items": {"type": "object"}, "type": "array"},
            "name": {"enum": ["description", "on"], "type": "string"},
        },
        "required": ["description"],
        "anyOf": [{"required": ["name"]}],
    }

    def _definition(self, schema: Any) -> dict[str, Any]:  # noqa: ANN401 - a JSON value
        version = {"name": "v1", "schema": {"openAPIV3Schema": schema}, "served": True}
        return {"metadata": {"name": "widgets.example.com"}, "spec": {"versions": [version]}}

    def test_texts_go_and_a_field_of_that_name_stays(self) -> None:
        given_ = self._definition(self.SCHEMA)
        assert _transformed(DEFINITION, given_).props == self._definition(self.LIGHT)
        # What Pulumi handed over is its own.
        assert given_ == self._definition(self.SCHEMA)

    @pytest.mark.parametrize("key", ["default", "example", "annotations"])
    def test_what_is_data_stays(self, key: str) -> None:
        data = self._definition({key: {"description": "a word of its own"}})
        assert _transformed(DEFINITION, data).props == data

    def test_one_without_texts_is_what_it_was(self) -> None:
        light = self._definition(self.LIGHT)
        assert _transformed(DEFINITION, light).props == light

    def test_it_stays_in_the_cluster_and_keeps_the_options_that_it_had(self) -> None:
        opts = pulumi.ResourceOptions(protect=True, version="4.25.0")
        kept = _transformed(DEFINITION, self._definition({}), opts=opts).opts
        assert (kept.retain_on_delete, kept.protect, kept.version) == (True, True, "4.25.0")
        assert opts.retain_on_delete is None

    @pytest.mark.parametrize("annotations", [{}, {"annotations": None}, {"annotations": {"a": "on"}}])
    def test_anything_else_goes_with_the_add_on_and_is_only_taken_over(
        self, annotations: dict[str, Any]
    ) -> None:
        spec = {"description": "a text", "rules": [{"description": "another"}]}
        props: dict[str, Any] = {"metadata": {"name": "policy", **annotations}, "spec": spec}
        result = _transformed("kubernetes:admissionregistration.k8s.io/v1:ValidatingAdmissionPolicy", props)
        had: dict[str, str] = annotations.get("annotations") or {}
        assert result.props == {
            "metadata": {"name": "policy", "annotations": {**had, FORCE: "true"}},
            "spec": spec,
        }
        assert result.opts.retain_on_delete is None

    def test_the_chart_itself_and_what_has_no_metadata_are_left_alone(self) -> None:
        props: dict[str, Any] = {"chart": "x", "description": "a text", "metadata": {"name": "x"}}
        chart = _transformed("kubernetes:helm.sh/v4:Chart", props, custom=False)
        assert (chart.props, chart.opts.retain_on_delete) == (props, None)
        bare = {"values": {"description": "a text"}}
        assert _transformed("kubernetes:core/v1:Thing", bare).props == bare
