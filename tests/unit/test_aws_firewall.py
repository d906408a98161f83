"""The firewall: prompts pass, everything else that looks like an attack does not, and no token is written down."""

import re
from collections.abc import Callable
from typing import Any, cast

import pulumi
import pytest
from pulumi_aws import Provider

from components.aws.web_firewall import (
    BAD_INPUTS,
    BODY_RULES,
    COMMON,
    WebFirewall,
    WebFirewallArgs,
    body_labels,
    firewall_rules,
)
from ops.recorder import Recorder

pytestmark = pytest.mark.unit

Deploy = Callable[[Callable[[], object]], Recorder]
Rules = dict[str, dict[str, Any]]
# The rules of the two groups that read bodies (WAF developer guide, AWS Managed Rules, baseline rule groups).
READ_BODIES = {
    COMMON: {
        "SizeRestrictions_BODY",
        "EC2MetaDataSSRF_BODY",
        "GenericLFI_BODY",
        "GenericRFI_BODY",
        "CrossSiteScripting_BODY",
    },
    BAD_INPUTS: {"JavaDeserializationRCE_BODY", "Log4JRCE_BODY", "ReactJSRCE_BODY"},
}
# Capacity units: of managed groups as their documents say; of a label 1, of a prefix 2, of a transformation 10.
GROUP_UNITS = {COMMON: 700, BAD_INPUTS: 200, "AWSManagedRulesAmazonIpReputationList": 25}
INCLUDED_UNITS = 1500


@pytest.fixture
def rules() -> Rules:
    return {cast("str", rule["name"]): cast("dict[str, Any]", rule) for rule in firewall_rules(2000)}


@pytest.fixture
def recorder(deploy: Deploy) -> Recorder:
    args = WebFirewallArgs(name="llm-edge", requests_per_5_minutes=1234, log_days=90)
    return deploy(
        lambda: WebFirewall(
            "thing", args, pulumi.ResourceOptions(providers=[Provider("aws", region="eu-west-1")])
        )
    )


def _group(rule: dict[str, Any]) -> dict[str, Any] | None:
    return rule["statement"].get("managed_rule_group_statement")


class TestBodies:
    def test_every_rule_that_reads_bodies_counts(self, rules: Rules) -> None:
        for group, names in READ_BODIES.items():
            (found,) = [each for each in map(_group, rules.values()) if each and each["name"] == group]
            overrides = {each["name"]: each["action_to_use"] for each in found["rule_action_overrides"]}
            assert overrides == {name: {"count": {}} for name in names}

    def test_no_other_rule_is_weakened(self, rules: Rules) -> None:
        groups = [rule for rule in rules.values() if _group(rule)]
        assert len(groups) == 3
        assert all(rule["override_action"] == {"none": {}} for rule in groups)
        assert {name for names in BODY_RULES.values() for name in names} == set().union(*READ_BODIES.values())

    def test_outside_of_the_api_what_they_marked_is_blocked(self, rules: Rules) -> None:
        rule = rules["bodies-outside-of-the-api"]
        assert rule["action"] == {"block": {}}
        marked, elsewhere = rule["statement"]["and_statement"]["statements"]
        labels = {each["label_match_statement"]["key"] for each in marked["or_statement"]["statements"]}
        assert labels == {
            "awswaf:managed:aws:core-rule-set:CrossSiteScripting_Body",
            "awswaf:managed:aws:core-rule-set:EC2MetaDataSSRF_Body",
            "awswaf:managed:aws:core-rule-set:GenericLFI_Body",
            "awswaf:managed:aws:core-rule-set:GenericRFI_Body",
            "awswaf:managed:aws:core-rule-set:SizeRestrictions_Body",
            "awswaf:managed:aws:known-bad-inputs:JavaDeserializationRCE_Body",
            "awswaf:managed:aws:known-bad-inputs:Log4JRCE_Body",
            "awswaf:managed:aws:known-bad-inputs:ReactJSRCE_Body",
        }
        path = elsewhere["not_statement"]["statement"]["regex_match_statement"]
        for inside in ("/v1/chat/completions", "/qwen-7b-vllm/v1/chat/completions"):
            assert re.search(path["regex_string"], inside)
        for outside in ("/", "/admin", "/v1", "/a/b/v1/chat/completions"):
            assert re.search(path["regex_string"], outside) is None

    def test_a_path_that_only_pretends_is_outside_of_the_api(self, rules: Rules) -> None:
        """`/v1/%2e%2e/admin` is compared as `/admin`: decoded first, then without its dots."""
        _, elsewhere = rules["bodies-outside-of-the-api"]["statement"]["and_statement"]["statements"]
        path = elsewhere["not_statement"]["statement"]["regex_match_statement"]
        steps = sorted(path["text_transformations"], key=lambda step: step["priority"])
        assert [step["type"] for step in steps] == ["URL_DECODE", "NORMALIZE_PATH"]

    def test_marks_are_looked_at_after_they_are_put(self, rules: Rules) -> None:
        last = max(rule["priority"] for rule in rules.values() if _group(rule))
        assert rules["bodies-outside-of-the-api"]["priority"] > last


class TestRules:
    def test_each_has_a_priority_of_its_own(self, rules: Rules) -> None:
        assert sorted(rule["priority"] for rule in rules.values()) == list(range(len(rules)))

    def test_one_address_is_limited_over_five_minutes(self, rules: Rules) -> None:
        statement = rules["rate"]["statement"]["rate_based_statement"]
        assert statement == {"aggregate_key_type": "IP", "limit": 2000, "evaluation_window_sec": 300}
        assert "block" in rules["rate"]["action"]

    def test_their_capacity_is_part_of_the_price(self, rules: Rules) -> None:
        groups = sum(GROUP_UNITS[group["name"]] for group in map(_group, rules.values()) if group)
        rate, pattern, transformations = 2, 3, 2 * 10
        units = groups + rate + len(body_labels()) + pattern + transformations
        assert units == 958 < INCLUDED_UNITS


class TestAcl:
    def test_all_of_it_lies_where_cloudfront_looks(self, recorder: Recorder) -> None:
        parts = [r for r in recorder.registrations if r.type.startswith("aws:")]
        assert len(parts) == 3
        assert {part.inputs["region"] for part in parts} == {"us-east-1"}
        assert recorder.one("aws:wafv2/webAcl:WebAcl").inputs["scope"] == "CLOUDFRONT"

    def test_the_settings_limit_reaches_it(self, recorder: Recorder) -> None:
        rate = recorder.one("aws:wafv2/webAcl:WebAcl").inputs["rules"][0]["statement"]["rateBasedStatement"]
        assert rate["limit"] == 1234

    def test_it_logs_to_a_group_that_ends(self, recorder: Recorder) -> None:
        group = recorder.one("aws:cloudwatch/logGroup:LogGroup").inputs
        assert group["name"] == "aws-waf-logs-llm-edge"
        assert group["retentionInDays"] == 90
        logging = recorder.one("aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration")
        assert recorder.one("aws:cloudwatch/logGroup:LogGroup").urn in logging.dependencies

    def test_no_token_cookie_or_query_is_written_down(self, recorder: Recorder) -> None:
        logging = recorder.one("aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration")
        fields = logging.inputs["redactedFields"]
        assert {"queryString": {}} in fields
        headers = {field["singleHeader"]["name"] for field in fields if "singleHeader" in field}
        assert {"authorization", "cookie"} <= headers

    def test_no_prompt_is_shown_as_what_a_rule_matched(self, recorder: Recorder) -> None:
        acl = recorder.one("aws:wafv2/webAcl:WebAcl").inputs
        protections = acl["dataProtectionConfig"]["dataProtections"]
        assert {each["field"]["fieldType"] for each in protections} == {
            "BODY",
            "QUERY_STRING",
            "SINGLE_HEADER",
        }
        assert not any(each.get("excludeRuleMatchDetails") for each in protections)
        metrics = [acl["visibilityConfig"], *(rule["visibilityConfig"] for rule in acl["rules"])]
        assert all(each["sampledRequestsEnabled"] is False for each in metrics)
