"""The web application firewall in front of CloudFront.

Owns: the web ACL, its log group and what is kept out of the log. Does not own: the distribution, which names
the ACL. All of it lies in us-east-1, where CloudFront looks for it.

AWS's rule groups take prompts for attacks: code, shell commands and paths are what people write about, and
8 KB is a short document. So the rules that read bodies only count, wherever they match; a rule of ours after
them blocks what they marked, outside of the API's paths. Two instances of each group, one per kind of path,
would say the same for 1,852 units; one instance and the marks cost 958 of the 1,500 that are part of the
price: reputation 25, common 700, bad inputs 200, rate 2, the rule below 30 (labels 8, prefix 2, two
transformations 20).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pulumi
from pulumi_aws.cloudwatch import LogGroup
from pulumi_aws.wafv2 import WebAcl, WebAclLoggingConfiguration

from components.aws.known_after import known_after

if TYPE_CHECKING:
    from pulumi_aws.wafv2 import (
        WebAclDataProtectionConfigDataProtectionArgsDict,
        WebAclRuleArgsDict,
        WebAclRuleStatementArgsDict,
        WebAclVisibilityConfigArgsDict,
    )

CLOUDFRONT_REGION: Final = "us-east-1"
API_PATHS: Final = "^/([^/]+/)?v1/"
"""Of the API, and of a model by its own path."""
RATE_WINDOW_SECONDS: Final = 300
# WAF writes only to log groups with this prefix.
LOG_PREFIX: Final = "aws-waf-logs-"

REPUTATION: Final = "AWSManagedRulesAmazonIpReputationList"
COMMON: Final = "AWSManagedRulesCommonRuleSet"
BAD_INPUTS: Final = "AWSManagedRulesKnownBadInputsRuleSet"
# Every rule of the two groups whose name ends in _BODY (WAF developer guide, baseline rule groups, 2026). One that
# AWS adds later blocks until it stands here: watch the groups' metrics.
BODY_RULES: Final = {
    COMMON: (
        "CrossSiteScripting_BODY",
        "EC2MetaDataSSRF_BODY",
        "GenericLFI_BODY",
        "GenericRFI_BODY",
        "SizeRestrictions_BODY",
    ),
    BAD_INPUTS: ("JavaDeserializationRCE_BODY", "Log4JRCE_BODY", "ReactJSRCE_BODY"),
}
LABEL_NAMESPACES: Final = {
    COMMON: "awswaf:managed:aws:core-rule-set",
    BAD_INPUTS: "awswaf:managed:aws:known-bad-inputs",
}
SECRET_HEADERS: Final = ("authorization", "cookie", "x-api-key")


@dataclass(frozen=True, kw_only=True)
class WebFirewallArgs:
    """`name` of ACL and log. `requests_per_5_minutes`: of one address, before it is blocked for a while."""

    name: str
    requests_per_5_minutes: int
    log_days: int


class WebFirewall(pulumi.ComponentResource):
    """Makes it. `arn` is known once it logs."""

    arn: pulumi.Output[str]

    def __init__(self, name: str, args: WebFirewallArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("vllm-platform:edge:WebFirewall", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        acl = WebAcl(
            f"{name}-acl",
            name=args.name,
            description="Requests to the models",
            region=CLOUDFRONT_REGION,
            scope="CLOUDFRONT",
            default_action={"allow": {}},
            rules=firewall_rules(args.requests_per_5_minutes),
            data_protection_config={"data_protections": protected_fields()},
            visibility_config=_visibility(args.name),
            opts=child,
        )
        log = LogGroup(
            f"{name}-log",
            name=f"{LOG_PREFIX}{args.name}",
            region=CLOUDFRONT_REGION,
            retention_in_days=args.log_days,
            opts=child,
        )
        logging = WebAclLoggingConfiguration(
            f"{name}-logging",
            region=CLOUDFRONT_REGION,
            resource_arn=acl.arn,
            log_destination_configs=[log.arn],
            redacted_fields=[
                *({"single_header": {"name": header}} for header in SECRET_HEADERS),
                {"query_string": {}},
            ],
            opts=child,
        )
        self.arn = known_after(acl.arn, logging.id)
        self.register_outputs({"arn": self.arn})


def firewall_rules(requests_per_5_minutes: int) -> "list[WebAclRuleArgsDict]":
    """Return the rules in the order in which they are asked: the cheap ones that turn away most come first."""
    rate: WebAclRuleArgsDict = {
        "name": "rate",
        "priority": 0,
        "action": {"block": {"custom_response": {"response_code": 429}}},
        "statement": {
            "rate_based_statement": {
                "aggregate_key_type": "IP",
                "limit": requests_per_5_minutes,
                "evaluation_window_sec": RATE_WINDOW_SECONDS,
            }
        },
        "visibility_config": _visibility("rate"),
    }
    outside: WebAclRuleArgsDict = {
        "name": "bodies-outside-of-the-api",
        "priority": 4,
        "action": {"block": {}},
        "statement": {
            "and_statement": {"statements": [_marked(), {"not_statement": {"statement": _api_path()}}]}
        },
        "visibility_config": _visibility("bodies-outside-of-the-api"),
    }
    return [
        rate,
        _managed("reputation", 1, REPUTATION),
        _managed("common", 2, COMMON),
        _managed("bad-inputs", 3, BAD_INPUTS),
        outside,
    ]


def body_labels() -> list[str]:
    """Return the labels that the body rules put on a request, also where they only count."""
    return [
        f"{LABEL_NAMESPACES[group]}:{rule.removesuffix('_BODY')}_Body"
        for group, rules in BODY_RULES.items()
        for rule in rules
    ]


def protected_fields() -> "list[WebAclDataProtectionConfigDataProtectionArgsDict]":
    """Return what WAF replaces wherever it shows a request: logs, samples, and what a rule matched in a prompt."""
    return [
        {
            "action": "SUBSTITUTION",
            "field": {"field_type": "SINGLE_HEADER", "field_keys": list(SECRET_HEADERS)},
        },
        {"action": "SUBSTITUTION", "field": {"field_type": "QUERY_STRING"}},
        {"action": "SUBSTITUTION", "field": {"field_type": "BODY"}},
    ]


def _managed(name: str, priority: int, group: str) -> "WebAclRuleArgsDict":
    return {
        "name": name,
        "priority": priority,
        "override_action": {"none": {}},
        "statement": {
            "managed_rule_group_statement": {
                "vendor_name": "AWS",
                "name": group,
                "rule_action_overrides": [
                    {"name": rule, "action_to_use": {"count": {}}} for rule in BODY_RULES.get(group, ())
                ],
            }
        },
        "visibility_config": _visibility(name),
    }


def _marked() -> "WebAclRuleStatementArgsDict":
    return {
        "or_statement": {
            "statements": [
                {"label_match_statement": {"scope": "LABEL", "key": label}} for label in body_labels()
            ]
        }
    }


def _api_path() -> "WebAclRuleStatementArgsDict":
    """Match the API's paths as the gateway will read them: `/v1/../admin` is none, in whatever spelling."""
    return {
        "regex_match_statement": {
            "field_to_match": {"uri_path": {}},
            "regex_string": API_PATHS,
            "text_transformations": [
                {"priority": 0, "type": "URL_DECODE"},
                {"priority": 1, "type": "NORMALIZE_PATH"},
            ],
        }
    }


def _visibility(metric: str) -> "WebAclVisibilityConfigArgsDict":
    """Count, but keep no samples: the log has every request, for as long as the settings say."""
    return {
        "cloudwatch_metrics_enabled": True,
        "metric_name": metric,
        "sampled_requests_enabled": False,
    }
