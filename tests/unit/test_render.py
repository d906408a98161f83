"""Render and the recorder behind it: what is written, and what is refused."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml
from pulumi_kubernetes import Provider
from pulumi_kubernetes.core.v1 import ConfigMap
from pulumi_kubernetes.helm.v3 import Release
from pulumi_kubernetes.helm.v4 import Chart

from ops.critical_path import CHART_TYPE
from ops.program_graph import ProgramError, ProgramGraph, stack_config
from ops.recorder import HIDDEN, UNKNOWN, Recorder, record
from ops.render import (
    MARKER,
    RELEASE_TYPE,
    RenderError,
    aws_files,
    graph_json,
    helm_files,
    kubernetes_files,
    outputs_json,
    render,
    write,
)
from ops.security_set import render_security, security_set

pytestmark = pytest.mark.unit

Deploy = Callable[[Callable[[], object]], Recorder]


def _node(type_: str, inputs: Mapping[str, Any], name: str = "name") -> dict[str, Any]:
    urn = f"urn:pulumi:s::p::{type_}::{name}"
    return {
        "urn": urn,
        "name": name,
        "type": type_,
        "parent": "",
        "provider": "",
        "dependencies": [],
        "inputs": dict(inputs),
    }


def _graph(*nodes: Mapping[str, Any], outputs: Mapping[str, Any] | None = None) -> ProgramGraph:
    return ProgramGraph(resources=nodes, outputs=outputs or {}, warnings=())


def _object(kind: str, name: str, namespace: str = "", group: str = "") -> dict[str, Any]:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    document = {"kind": kind, "metadata": metadata, "apiVersion": f"{group}/v1" if group else "v1"}
    return _node(f"kubernetes:core/v1:{kind}", document, f"{group}{namespace}{name}")


class TestRecorder:
    def test_secrets_are_hidden(self, deploy: Deploy) -> None:
        def program() -> None:
            password = pulumi.Output.secret("hunter2")
            provider = pulumi.ResourceOptions(provider=Provider("k8s", kubeconfig="{}"))
            data = {"password": password, "port": "80"}
            ConfigMap("config", metadata={"name": "config"}, data=data, opts=provider)

        recorder = deploy(program)
        config = recorder.one("kubernetes:core/v1:ConfigMap")
        assert config.inputs["data"] == {"password": HIDDEN, "port": "80"}
        assert "hunter2" not in str(recorder.registrations)

    def test_what_only_a_deployment_can_tell_is_marked(self, deploy: Deploy) -> None:
        def program() -> None:
            provider = pulumi.ResourceOptions(provider=Provider("k8s", kubeconfig="{}"))
            first = ConfigMap("first", metadata={"name": "first"}, opts=provider)
            ConfigMap("second", metadata={"name": "second"}, data={"id": first.id}, opts=provider)

        second = deploy(program).of_type("kubernetes:core/v1:ConfigMap")[1]
        assert second.inputs["data"] == {"id": UNKNOWN}
        assert any("::first" in urn for urn in second.dependencies)

    def test_a_urn_holds_the_types_of_all_ancestors(self, deploy: Deploy) -> None:
        def program() -> None:
            outer = pulumi.ComponentResource("a:b:Outer", "outer")
            inner = pulumi.ComponentResource("a:b:Inner", "inner", {}, pulumi.ResourceOptions(parent=outer))
            pulumi.ComponentResource("a:b:Leaf", "leaf", {}, pulumi.ResourceOptions(parent=inner))

        leaf = deploy(program).one("a:b:Leaf")
        assert leaf.urn == "urn:pulumi:test-stack::test-project::a:b:Outer$a:b:Inner$a:b:Leaf::leaf"

    def test_two_resources_with_one_urn_are_noticed(self) -> None:
        def program() -> None:
            for _ in range(2):
                pulumi.ComponentResource("a:b:Twin", "twin")

        recorder = record(program, project="p", stack="s")
        assert recorder.duplicates() == ["urn:pulumi:s::p::a:b:Twin::twin"]

    def test_a_program_that_fails_fails_here(self) -> None:
        def program() -> None:
            message = "out of cheese"
            raise LookupError(message)

        with pytest.raises(LookupError, match="out of cheese"):
            record(program, project="p", stack="s")

    def test_a_call_to_a_cloud_fails_with_its_name(self) -> None:
        def program() -> None:
            pulumi.runtime.invoke("aws:index/getRegion:getRegion", {})

        with pytest.raises(Exception, match="aws:index/getRegion:getRegion"):
            record(program, project="p", stack="s")


class TestFiles:
    def test_an_object_s_file_begins_as_a_manifest_and_is_named_after_it(self) -> None:
        files = kubernetes_files(_graph(_object("ConfigMap", "config", "llm")))
        (text,) = files.values()
        assert list(files) == ["kubernetes/configmap-llm-config.yaml"]
        assert text.splitlines()[:3] == ["apiVersion: v1", "kind: ConfigMap", "metadata:"]

    def test_a_cluster_wide_object_has_no_namespace_in_its_name(self) -> None:
        assert list(kubernetes_files(_graph(_object("Namespace", "llm")))) == [
            "kubernetes/namespace-llm.yaml"
        ]

    def test_objects_of_two_groups_do_not_replace_each_other(self) -> None:
        files = kubernetes_files(
            _graph(_object("Gateway", "g", "n", "a.io"), _object("Gateway", "g", "n", "b.io"))
        )
        assert set(files) == {"kubernetes/gateway-n-g-a.io.yaml", "kubernetes/gateway-n-g-b.io.yaml"}

    def test_one_object_declared_twice_is_refused(self) -> None:
        with pytest.raises(RenderError, match="one would replace the other"):
            kubernetes_files(_graph(_object("ConfigMap", "c", "n"), _object("ConfigMap", "c", "n")))

    def test_text_of_several_lines_stays_readable(self) -> None:
        node = _object("ConfigMap", "c", "n")
        node["inputs"]["data"] = {"script": "one\ntwo\n"}
        (text,) = kubernetes_files(_graph(node)).values()
        assert "script: |\n    one\n    two\n" in text
        assert yaml.safe_load(text)["data"] == {"script": "one\ntwo\n"}

    def test_a_release_is_its_chart_and_its_values(self, deploy: Deploy) -> None:
        def program() -> None:
            Release(
                "keda",
                name="keda",
                chart="keda",
                version="2.20.2",
                namespace="keda",
                values={"a": {"b": 1}},
                opts=pulumi.ResourceOptions(provider=Provider("k8s", kubeconfig="{}")),
            )

        release = deploy(program).one("kubernetes:helm.sh/v3:Release")
        graph = _graph(_node(release.type, release.inputs, release.name))
        files = helm_files(graph)
        assert yaml.safe_load(files["helm/keda/values.yaml"]) == {"a": {"b": 1}}
        assert json.loads(files["helm/keda/chart.json"])["version"] == "2.20.2"
        assert kubernetes_files(graph) == {}

    def test_a_rendered_chart_is_written_as_a_release_is(self, deploy: Deploy) -> None:
        def program() -> None:
            Chart(
                "gateway-api",
                name="gateway-api",
                chart="gateway-crds-helm",
                version="v1.9.1",
                values={"crds": {"gatewayAPI": {"enabled": True}}},
                opts=pulumi.ResourceOptions(provider=Provider("k8s", kubeconfig="{}")),
            )

        chart = deploy(program).one("kubernetes:helm.sh/v4:Chart")
        graph = _graph(_node(chart.type, chart.inputs, chart.name))
        files = helm_files(graph)
        values = yaml.safe_load(files["helm/gateway-api/values.yaml"])
        assert values == {"crds": {"gatewayAPI": {"enabled": True}}}
        assert json.loads(files["helm/gateway-api/chart.json"])["chart"] == "gateway-crds-helm"
        assert kubernetes_files(graph) == {}

    def test_releases_of_one_name_are_told_apart_by_their_namespaces(self) -> None:
        one, other = (
            _node(RELEASE_TYPE, {"name": "kong", "namespace": space, "chart": "kong"}) for space in ("a", "b")
        )
        assert {name.split("/")[1] for name in helm_files(_graph(one, other))} == {"kong-a", "kong-b"}

    def test_releases_and_rendered_charts_are_counted_apart(self, tmp_path: Path) -> None:
        types = (RELEASE_TYPE, RELEASE_TYPE, CHART_TYPE)
        nodes = [
            {**_node(type_, {"name": f"c{index}"}, f"c{index}"), "custom": type_ == RELEASE_TYPE}
            for index, type_ in enumerate(types)
        ]
        summary = write(_graph(*nodes), "s", tmp_path / "out")
        assert (summary.helm, summary.charts, summary.kubernetes) == (2, 1, 0)

    def test_aws_resources_are_json_by_type_and_name(self) -> None:
        files = aws_files(_graph(_node("aws:ec2/vpc:Vpc", {"cidrBlock": "10.0.0.0/16"}, "main")))
        assert {name: json.loads(text) for name, text in files.items()} == {
            "aws/ec2-vpc-main.json": {"cidrBlock": "10.0.0.0/16"}
        }

    def test_the_graph_has_the_fields_that_its_readers_know(self) -> None:
        (node,) = json.loads(graph_json(_graph(_object("Namespace", "llm"))))
        assert set(node) == {"urn", "name", "type", "parent", "provider", "dependencies", "inputs"}

    def test_outputs_are_the_stack_s(self) -> None:
        stack = _node("pulumi:pulumi:Stack", {})
        graph = _graph(stack, outputs={stack["urn"]: {"url": "u"}, "another": {"x": 1}})
        assert json.loads(outputs_json(graph)) == {"url": "u"}


class TestStackConfig:
    def _project(self, folder: Path, stack: str) -> Path:
        (folder / "Pulumi.yaml").write_text(
            "name: vllm-platform\nruntime: python\nconfig:\n  namespace: {type: string, default: llm-prod}\n"
        )
        (folder / "Pulumi.s.yaml").write_text(stack)
        return folder

    def test_values_are_texts_as_the_engine_makes_them(self, tmp_path: Path) -> None:
        root = self._project(
            tmp_path, 'config: {"vllm-platform:pools": [{min: 1, spot: true}], "vllm-platform:x": "1"}'
        )
        texts, _ = stack_config("s", root)
        assert json.loads(texts["vllm-platform:pools"]) == [{"min": 1, "spot": True}]
        assert texts["vllm-platform:x"] == "1"

    def test_the_project_s_defaults_are_filled_in(self, tmp_path: Path) -> None:
        assert stack_config("s", self._project(tmp_path, "config: {}"))[0] == {
            "vllm-platform:namespace": "llm-prod"
        }
        own = self._project(tmp_path, 'config: {"vllm-platform:namespace": mine}')
        assert stack_config("s", own)[0] == {"vllm-platform:namespace": "mine"}

    def test_a_cipher_text_never_reaches_the_program(self, tmp_path: Path) -> None:
        root = self._project(tmp_path, 'config: {"vllm-platform:token": {secure: AAABAJ}}')
        texts, secrets = stack_config("s", root)
        assert secrets == ["vllm-platform:token"]
        assert "AAABAJ" not in str(texts)


class TestRender:
    def test_files_of_others_are_left_alone(self, root: Path, tmp_path: Path) -> None:
        (tmp_path / "thesis.txt").write_text("years of work")
        with pytest.raises(RenderError, match="holds files that no render wrote"):
            render("local", root, tmp_path)
        assert (tmp_path / "thesis.txt").read_text() == "years of work"

    def test_a_file_is_no_directory(self, root: Path, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(RenderError, match="is not a directory"):
            render("local", root, tmp_path / "file")

    def test_a_list_that_was_tampered_with_removes_nothing_outside(self, root: Path, tmp_path: Path) -> None:
        outside, out = tmp_path / "outside.txt", tmp_path / "out"
        outside.write_text("keep")
        out.mkdir()
        (out / MARKER).write_text(json.dumps({"files": ["../outside.txt"]}))
        render("local", root, out)
        assert outside.read_text() == "keep"

    def _changed_local(self, root: Path, folder: Path, key: str, value: object) -> Path:
        """Make a project whose stack `local` differs in one key of its second model."""
        folder.mkdir()
        for name in ("__main__.py", "Pulumi.yaml", "components", "settings", "ops", "rehearsal"):
            (folder / name).symlink_to(root / name)
        stack = yaml.safe_load((root / "Pulumi.local.yaml").read_text())
        stack["config"]["vllm-platform:models"][1][key] = value
        (folder / "Pulumi.local.yaml").write_text(yaml.safe_dump(stack))
        return folder

    def test_a_new_render_replaces_the_old_and_keeps_files_that_were_added(
        self, root: Path, tmp_path: Path
    ) -> None:
        out = tmp_path / "out"
        render("local", root, out)
        (out / "notes.txt").write_text("mine")
        gone = out / "kubernetes" / "inferenceservice-llm-prod-qwen3-235b-a22b.yaml"
        assert gone.is_file()
        summary = render("local", self._changed_local(root, tmp_path / "project", "enabled", False), out)  # noqa: FBT003 - the setting's value
        assert not gone.exists()
        assert (out / "notes.txt").read_text() == "mine"
        written = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
        assert written == {*summary.files, MARKER, "notes.txt"}

    def test_an_unknown_stack_is_refused_with_those_that_are_there(self, root: Path, tmp_path: Path) -> None:
        with pytest.raises(ProgramError, match=r"there is no Pulumi.nowhere.yaml.*prod"):
            render("nowhere", root, tmp_path / "out")

    def test_refused_settings_are_one_message_and_nothing_is_written(
        self, root: Path, tmp_path: Path
    ) -> None:
        project = self._changed_local(root, tmp_path / "project", "tier", "ludicrous")
        with pytest.raises(ProgramError) as refusal:
            render("local", project, tmp_path / "out")
        assert str(refusal.value).startswith("stack local: 1 problem in its settings")
        assert "ludicrous" in str(refusal.value)
        assert "Traceback" not in str(refusal.value)
        assert not (tmp_path / "out").exists()


class TestSecuritySet:
    def test_namespaces_come_first_and_only_those_that_something_is_in(self) -> None:
        graph = _graph(
            _object("NetworkPolicy", "deny", "models", "networking.k8s.io"),
            _object("AuthorizationPolicy", "access", "models", "security.istio.io"),
            _object("PeerAuthentication", "default", "mesh", "security.istio.io"),
            _object("ConfigMap", "other", "models"),
            _object("Namespace", "unused"),
            _object("Namespace", "mesh"),
            _object("Namespace", "models"),
        )
        found = [(each["kind"], each["metadata"]["name"]) for each in security_set(graph)]
        assert found == [
            ("Namespace", "mesh"),
            ("Namespace", "models"),
            ("PeerAuthentication", "default"),
            ("AuthorizationPolicy", "access"),
            ("NetworkPolicy", "deny"),
        ]

    def test_a_folder_with_files_of_others_is_refused_and_its_own_is_written_again(
        self, root: Path, tmp_path: Path
    ) -> None:
        made = render_security("local", root, tmp_path / "out")
        text = made.file.read_text()
        assert render_security("local", root, tmp_path / "out").file.read_text() == text
        assert made.kinds == ("Namespace", "NetworkPolicy")
        (tmp_path / "full").mkdir()
        (tmp_path / "full" / "mine").write_text("x")
        with pytest.raises(RenderError, match="holds files that no render wrote"):
            render_security("local", root, tmp_path / "full")
