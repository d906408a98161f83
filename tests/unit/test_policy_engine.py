"""The policy pack as Pulumi runs it: values behind its proxies, levels and words of a stack, and the folder as it is published."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final, cast

import pytest
import yaml
from pulumi.runtime.rpc import UNKNOWN as RAW_UNKNOWN
from pulumi_policy import (
    EnforcementLevel,
    PolicyResource,
    PolicyResourceOptions,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    Secret,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import unknown_checking_proxy
from pulumi_policy.secret import secrets_preserving_proxy
from pydantic import TypeAdapter

from policies.rules.catalogue import RULES
from policies.rules.config import KEYS, ConfigError, config_of
from policies.rules.engine import policies
from policies.rules.model import Config, Resource, ResourceRule
from policies.rules.values import UNKNOWN
from settings.policies import Policies
from tests.policies import kubernetes
from tests.policies.cases import Case, said
from tests.policies.catalogue import CASES

pytestmark = pytest.mark.unit

ROOT: Final = Path(__file__).resolve().parents[2]
IDS: Final = [f"{each.rule}-{index}" for index, each in enumerate(CASES)]
NO_OPTIONS: Any = PolicyResourceOptions(
    protect=False,
    ignore_changes=[],
    delete_before_replace=None,
    aliases=[],
    custom_timeouts=None,  # pyright: ignore[reportArgumentType] - no rule looks at it
    additional_secret_outputs=[],
)


def _raw(value: Any) -> Any:  # noqa: ANN401 - a JSON value
    """Return values as they come over the wire: whole numbers are floats, what is not known is a text that says so."""
    if value is UNKNOWN:
        return RAW_UNKNOWN
    if isinstance(value, dict):
        return {key: _raw(item) for key, item in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_raw(item) for item in cast("list[Any]", value)]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _heard(case: Case, resources: list[Resource]) -> list[str]:
    """Return what the policy of a case's rule reports."""
    policy: Any = next(each for each in policies(RULES, case.config) if each.name == case.rule)
    validate: Any = policy.validate
    heard: list[str] = []

    def report(message: str, urn: str | None = None) -> None:
        assert urn is None or urn in {each.urn for each in resources}
        heard.append(message)

    proxies = [unknown_checking_proxy(_raw(dict(each.props))) for each in resources]
    if isinstance(policy, ResourceValidationPolicy):
        for each, props in zip(resources, proxies, strict=True):
            validate(ResourceValidationArgs(each.type, props, each.urn, each.name, NO_OPTIONS, None), report)
    else:
        assert isinstance(policy, StackValidationPolicy)
        listed = [
            PolicyResource(each.type, props, each.urn, each.name, NO_OPTIONS, None, None, [], {})
            for each, props in zip(resources, proxies, strict=True)
        ]
        validate(StackValidationArgs(listed), report)
    return heard


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_a_policy_says_what_its_rule_says(case: Case) -> None:
    for resources in (case.stack(), case.unknown(), next(case.broken())):
        assert _heard(case, resources) == [each.message for each in said(case.rule, resources, case.config)]


def test_what_is_not_known_hides_nothing_beside_it() -> None:
    case = next(each for each in CASES if each.rule == "models-are-probed")
    resources = next(case.broken())
    engine: Any = resources[0].props["spec"]["predictor"]["containers"][0]
    engine["image"] = UNKNOWN
    assert len(_heard(case, resources)) == 1


def test_levels_are_the_stack_s_else_the_environment_s() -> None:
    config = Config(environment="dev", levels={"weights-are-pinned": "disabled"})
    levels = {each.name: each.enforcement_level for each in policies(RULES, config)}
    assert levels["weights-are-pinned"] is EnforcementLevel.DISABLED
    assert levels["model-images-by-digest"] is EnforcementLevel.ADVISORY
    assert levels["models-are-probed"] is EnforcementLevel.MANDATORY


def test_a_remedy_keeps_secrets_and_what_is_not_known() -> None:
    rule = "gpu-pods-tolerate-the-taint"
    policy: Any = next(each for each in policies(RULES, Config()) if each.name == rule)
    case = next(each for each in CASES if each.rule == rule)
    props = _raw(dict(next(case.broken())[0].props))
    props["spec"]["predictor"]["containers"][0]["env"] = [{"name": "A", "value": Secret("s3cret")}]
    props["spec"]["predictor"]["nodeSelector"] = RAW_UNKNOWN
    args = ResourceValidationArgs(
        case.keeps["chat"][0], secrets_preserving_proxy(props), "urn", "chat", NO_OPTIONS, None
    )
    mended: Any = policy.remediate(args)
    predictor = mended["spec"]["predictor"]
    assert predictor["tolerations"] == [kubernetes.TAINT]
    assert predictor["nodeSelector"] == RAW_UNKNOWN
    assert isinstance(predictor["containers"][0]["env"][0]["value"], Secret)
    assert props["spec"]["predictor"]["tolerations"] == []
    again = ResourceValidationArgs(
        case.keeps["chat"][0], secrets_preserving_proxy(mended), "urn", "chat", NO_OPTIONS, None
    )
    assert policy.remediate(again) is None


WRONG: Final[list[tuple[object, str]]] = [
    ("strict", 'it is "strict": write a mapping'),
    ({"level": []}, "level: unknown key: did you mean levels?"),
    ({"levels": {"weights-are-pinned": "disabled"}}, "levels: "),
    ({"levels": [{"rule": "weights-are-pined", "level": "advisory"}]}, "did you mean weights-are-pinned?"),
    ({"levels": [{"rule": "weights-are-pinned", "level": "off"}]}, 'levels[0].level: "off" is no level'),
    ({"levels": [{"rule": "weights-are-pinned", "level": "remediate"}]}, "puts nothing right by itself"),
    ({"levels": [{"rule": "weights-are-pinned"}]}, "levels[0]: "),
    ({"levels": [{"rule": ["a"], "level": "advisory"}]}, 'levels[0].rule: there is no rule ["a"]'),
    ({"levels": [{"rule": "weights-are-pinned", "level": ["off"]}]}, 'levels[0].level: ["off"] is no level'),
    (
        {"exempt": [{"rule": {"a": 1}, "resource": "chat", "reason": "because it is so"}]},
        'exempt[0].rule: there is no rule {"a": 1}',
    ),
    ({"exempt": [{"rule": "x", "resource": "y", "reason": "because it is so"}]}, 'there is no rule "x"'),
    (
        {"exempt": [{"rule": "weights-are-pinned", "resource": "", "reason": "because it is so"}]},
        "no name of a resource",
    ),
    ({"exempt": [{"rule": "weights-are-pinned", "resource": "chat", "reason": "so"}]}, "does not say why"),
    ({"registries": "docker.io"}, 'registries: "docker.io" is no list of texts'),
    ({"licences": [7]}, "licences: [7] is no list of texts"),
]


@pytest.mark.parametrize(("section", "message"), WRONG, ids=[message for _, message in WRONG])
def test_a_mistake_in_the_section_is_said_with_what_to_do(section: object, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config_of({"vllm-platform:policies": json.dumps(section)}, RULES)
    assert message in str(caught.value)


def test_all_mistakes_are_said_at_once() -> None:
    section = {"levels": [{"rule": "a", "level": "b"}], "licences": 7, "more": 1}
    with pytest.raises(ConfigError) as caught:
        config_of({"vllm-platform:policies": json.dumps(section)}, RULES)
    assert len(str(caught.value).splitlines()) == 4


def test_a_stack_that_says_nothing_is_held_to_everything() -> None:
    config = config_of({}, RULES)
    assert (config.environment, config.levels, config.exempt) == ("prod", {}, {})


def test_what_a_stack_says_of_itself_is_read() -> None:
    values = {
        "environment": "staging",
        "cluster": json.dumps({"kind": "existing"}),
        "edge": json.dumps({"kind": "cloudfront"}),
        "addons": json.dumps({"istio": "existing"}),
        "pools": json.dumps([{"name": "a10"}]),
        "policies": json.dumps({"registries": ["a.example.com"]}),
    }
    config = config_of({f"vllm-platform:{key}": value for key, value in values.items()}, RULES)
    assert (config.environment, config.cluster, config.public) == ("staging", "existing", True)
    assert (config.has("istio"), config.pools, config.registries) == (True, {"a10"}, ("a.example.com",))


def test_the_pack_asks_for_the_program_s_own_versions() -> None:
    pinned = (ROOT / "requirements.in").read_text(encoding="utf-8").splitlines()
    asked = [
        line
        for line in (ROOT / "policies" / "requirements.txt").read_text(encoding="utf-8").splitlines()
        if not line.startswith("#")
    ]
    assert asked
    assert set(asked) <= set(pinned)


def test_pulumi_finds_what_it_needs_in_the_folder() -> None:
    pack = yaml.safe_load((ROOT / "policies" / "PulumiPolicy.yaml").read_text(encoding="utf-8"))
    assert pack["runtime"] == {"name": "python", "options": {"virtualenv": "../.venv"}}
    assert pack["name"] == "vllm-platform"


@pytest.mark.parametrize(
    "config", ["{}", json.dumps({"vllm-platform:policies": json.dumps({"levels": 7})})], ids=["good", "bad"]
)
def test_a_published_pack_needs_nothing_else_of_ours(tmp_path: Path, config: str) -> None:
    """The folder by itself, as Pulumi runs it, with the serving left out."""
    copied = tmp_path / "package"
    shutil.copytree(ROOT / "policies", copied, ignore=shutil.ignore_patterns("__pycache__"))
    start = (
        "import sys\n"
        "sys.path = [each for each in sys.path if each not in (sys.argv[1], '')]\n"
        "sys.meta_path = [each for each in sys.meta_path if 'editable' not in repr(each).lower()]\n"
        "import pulumi_policy, runpy\n"
        "pulumi_policy.PolicyPack = lambda **given: print(len(given['policies']))\n"
        "runpy.run_path('.', run_name='__main__')\n"
        "ours = sorted({n.partition('.')[0] for n in sys.modules} & {'settings', 'components', 'ops', 'rehearsal', 'policies'})\n"
        "assert ours == [], ours\n"
    )
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | {
        "PULUMI_CONFIG": config
    }
    done = subprocess.run(
        [sys.executable, "-c", start, str(ROOT)],
        cwd=copied,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if config == "{}":
        assert (done.returncode, done.stdout) == (0, f"{len(RULES)}\n"), done.stderr
    else:
        assert done.returncode == 1
        assert done.stderr == "vllm-platform:policies can not be used:\n  levels: 7 is no list\n"


def test_the_document_s_example_is_what_a_stack_may_say() -> None:
    document = (ROOT / "docs" / "policies.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```yaml\n(.*?)^```$", document, re.DOTALL | re.MULTILINE)
    section = yaml.safe_load(example)["vllm-platform:policies"]
    assert set(section) == set(KEYS)
    TypeAdapter(Policies).validate_python(section)
    assert config_of({"vllm-platform:policies": json.dumps(section)}, RULES).exempt


def test_every_rule_that_puts_something_right_is_about_one_resource() -> None:
    assert all(isinstance(rule, ResourceRule) for rule in RULES if getattr(rule, "remedy", None))
