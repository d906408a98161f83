"""The pack as a process of its own, started as Pulumi's script starts it and asked over the wire as the engine asks."""

import json
import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import grpc
import pytest
from google.protobuf import empty_pb2, json_format, struct_pb2
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc
from pulumi.runtime.rpc import UNKNOWN as RAW_UNKNOWN

from policies.rules.catalogue import RULES, rule_named
from policies.rules.model import Resource, ResourceRule
from policies.rules.values import UNKNOWN
from tests.policies.cases import Case
from tests.policies.catalogue import CASES

pytestmark = pytest.mark.unit

PACK: Final = Path(__file__).resolve().parents[2] / "policies"
STACK: Final = {
    "environment": "prod",
    "policies": json.dumps(
        {
            "registries": ["registry.example.com"],
            "levels": [{"rule": "what-is-kept-is-encrypted", "level": "remediate"}],
        }
    ),
    "pools": json.dumps([{"name": "a10"}]),
}
ANSWER_SECONDS: Final = 60
LEVELS: Final[dict[int, str]] = {
    analyzer_pb2.ADVISORY: "advisory",
    analyzer_pb2.MANDATORY: "mandatory",
    analyzer_pb2.REMEDIATE: "remediate",
    analyzer_pb2.DISABLED: "disabled",
}


@contextmanager
def _started() -> Generator[Any]:
    """Start the pack for a stack of `prod`; yield a client of it."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PULUMI_")}
    environment["PULUMI_CONFIG"] = json.dumps({f"vllm-platform:{key}": value for key, value in STACK.items()})
    command = [sys.executable, "-u", "-m", "pulumi.policy", "127.0.0.1:1", "."]
    with subprocess.Popen(command, cwd=PACK, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline())
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                yield analyzer_pb2_grpc.AnalyzerStub(channel)
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def pack() -> Generator[Any]:
    with _started() as client:
        yield client


def _struct(props: Any) -> struct_pb2.Struct:  # noqa: ANN401 - a JSON value
    text = json.dumps(dict(props), default=lambda value: RAW_UNKNOWN if value is UNKNOWN else value)
    return json_format.Parse(text, struct_pb2.Struct())


def _one(resource: Resource) -> Any:  # noqa: ANN401 - generated
    return analyzer_pb2.AnalyzeRequest(
        type=resource.type, urn=resource.urn, name=resource.name, properties=_struct(resource.props)
    )


def _all(resources: list[Resource]) -> Any:  # noqa: ANN401 - generated
    listed = [
        analyzer_pb2.AnalyzerResource(
            type=each.type, urn=each.urn, name=each.name, properties=_struct(each.props)
        )
        for each in resources
    ]
    return analyzer_pb2.AnalyzeStackRequest(resources=listed)


def _heard(pack: Any, case: Case, resources: list[Resource]) -> list[Any]:  # noqa: ANN401 - generated
    """Return what is said about a case's rule."""
    if isinstance(rule_named(case.rule), ResourceRule):
        answers = [pack.Analyze(_one(each), timeout=ANSWER_SECONDS) for each in resources]
    else:
        answers = [pack.AnalyzeStack(_all(resources), timeout=ANSWER_SECONDS)]
    return [each for answer in answers for each in answer.diagnostics if each.policyName == case.rule]


def _case(rule: str) -> Case:
    return next(each for each in CASES if each.rule == rule)


def test_the_engine_is_told_of_every_rule_with_its_level(pack: Any) -> None:  # noqa: ANN401 - generated
    info = pack.GetAnalyzerInfo(empty_pb2.Empty(), timeout=ANSWER_SECONDS)
    told = {each.name: (each.description, LEVELS[each.enforcementLevel]) for each in info.policies}
    levels = {"what-is-kept-is-encrypted": "remediate"}
    assert info.name == "vllm-platform"
    assert told == {
        rule.name: (rule.says, levels.get(rule.name) or rule.levels.get("prod", "mandatory"))
        for rule in RULES
    }


@pytest.mark.parametrize("rule", [rule.name for rule in RULES])
def test_each_rule_is_broken_at_its_level_kept_in_silence_and_left_open(pack: Any, rule: str) -> None:  # noqa: ANN401 - generated
    case = _case(rule)
    assert _heard(pack, case, case.stack()) == []
    assert _heard(pack, case, case.unknown()) == []
    broken = next(case.broken())
    said = _heard(pack, case, broken)
    assert said
    assert any(case.says in each.message for each in said)
    assert all(each.message.endswith(rule_named(rule).fix) for each in said)
    # What could not be put right stops the deployment.
    usual = rule_named(rule).levels.get("prod", "mandatory")
    assert {LEVELS[each.enforcementLevel] for each in said} == {usual}


def test_what_can_be_put_right_is(pack: Any) -> None:  # noqa: ANN401 - generated
    broken = next(_case("what-is-kept-is-encrypted").broken())
    queue = Resource(
        urn=broken[0].urn, type="aws:efs/fileSystem:FileSystem", name="files", props={"encrypted": False}
    )
    request = analyzer_pb2.AnalyzeRequest(
        type=queue.type, urn=queue.urn, name=queue.name, properties=_struct(queue.props)
    )
    (mended,) = pack.Remediate(request, timeout=ANSWER_SECONDS).remediations
    assert json_format.MessageToDict(mended.properties) == {"encrypted": True}
    assert mended.policyName == "what-is-kept-is-encrypted"


def test_words_of_pulumi_s_own_go_before_the_stack_s() -> None:
    case = _case("images-from-allowed-registries")
    with _started() as pack:
        level = analyzer_pb2.PolicyConfig(enforcementLevel=analyzer_pb2.ADVISORY)
        level.properties.update({"registries": ["only.example.com"]})
        pack.Configure(
            analyzer_pb2.ConfigureAnalyzerRequest(policyConfig={case.rule: level}), timeout=ANSWER_SECONDS
        )
        (said,) = _heard(pack, case, case.stack())
    assert "only only.example.com may be used" in said.message
    assert LEVELS[said.enforcementLevel] == "advisory"
