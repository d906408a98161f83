"""Only pods that ask for a GPU, and the agents of the nodes, may tolerate the taint of GPU nodes.

Owns: a ValidatingAdmissionPolicy and its binding, for the whole cluster. Does not own: the taint, which the
pools carry and which keeps out everything that does not tolerate it. A toleration alone is no barrier: any
pod may write one.

Not covered: a pod that names its node itself (`spec.nodeName`) passes by the scheduler and so by every
NoSchedule taint.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pulumi
from pulumi_kubernetes.admissionregistration.v1 import (
    ValidatingAdmissionPolicy,
    ValidatingAdmissionPolicyBinding,
)

from components.node_agents import (
    AGENTS_ALLOWED,
    AGENTS_LABEL,
    CLUSTER_NAMESPACE,
    DAEMONSET_CONTROLLERS,
    KUBELETS,
    NODE_AGENTS,
)
from settings.pools import GPU_RESOURCE

if TYPE_CHECKING:
    from pulumi_kubernetes.admissionregistration.v1 import (
        ValidatingAdmissionPolicyBindingSpecArgsDict,
        ValidatingAdmissionPolicySpecArgsDict,
    )
    from pulumi_kubernetes.meta.v1 import ObjectMetaArgsDict

_AGENT_ACCOUNTS: Final = [agent.account for agent in NODE_AGENTS]


@dataclass(frozen=True, kw_only=True)
class GpuAdmissionArgs:
    """`name` of both objects, and the `taint` of GPU nodes: its key, value and effect."""

    name: str
    taint: Mapping[str, str]


def tolerates(taint: Mapping[str, str]) -> str:
    """Return a CEL expression: whether the pod tolerates the taint, as the scheduler reads it.

    No key with operator Exists tolerates everything; no operator means Equal; no effect means every effect.
    """
    key, value, effect = (json.dumps(taint[field]) for field in ("key", "value", "effect"))
    return f"""variables.tolerations.exists(t,
  (!has(t.effect) || t.effect in ["", {effect}]) &&
  (has(t.operator) && t.operator == "Exists"
    ? (!has(t.key) || t.key in ["", {key}])
    : (has(t.key) && t.key == {key} && has(t.value) && t.value == {value})))"""


def policy_spec(taint: Mapping[str, str]) -> "ValidatingAdmissionPolicySpecArgsDict":
    """Return the spec of the policy.

    failurePolicy Fail: a policy is evaluated inside the API server, so there is no webhook that could be
    down; what can fail is an expression, and every optional field is asked for with `has`. Pods that do not
    tolerate the taint pass before anything else is looked at. Ignore would let a pod in on the first
    mistake, unseen.

    An update is looked at only when it adds tolerations: a pod that was there before the rule can still
    lose its finalizers and be deleted.
    """
    return {
        "failure_policy": "Fail",
        # With the defaults that the API server would add. It keeps this part as one value: a run that takes the
        # object over from one that was killed would find a value that it did not ask for, which is a conflict.
        "match_constraints": {
            "match_policy": "Equivalent",
            "namespace_selector": {},
            "object_selector": {},
            "resource_rules": [
                {
                    "api_groups": [""],
                    "api_versions": ["v1"],
                    "operations": ["CREATE", "UPDATE"],
                    "resources": ["pods"],
                    "scope": "*",
                }
            ],
        },
        "variables": [
            {"name": name, "expression": expression} for name, expression in _variables(taint).items()
        ],
        "validations": [
            {
                "expression": (
                    "variables.unchanged || !variables.tolerates || variables.asksForGpu || variables.isAgent"
                ),
                "message": _message(taint),
                "reason": "Forbidden",
            }
        ],
    }


def binding_spec(policy: pulumi.Input[str]) -> "ValidatingAdmissionPolicyBindingSpecArgsDict":
    """Return the spec of the binding: for every namespace, a pod that breaks the rule is refused."""
    return {"policy_name": policy, "validation_actions": ["Deny"]}


def _variables(taint: Mapping[str, str]) -> dict[str, str]:
    """Return the policy's variables. Each may use those before it; none is evaluated before it is used."""
    resource = json.dumps(GPU_RESOURCE)
    label = json.dumps(AGENTS_LABEL)
    return {
        "tolerations": "has(object.spec.tolerations) ? object.spec.tolerations : []",
        "unchanged": (
            "oldObject != null && "
            "(has(oldObject.spec.tolerations) ? oldObject.spec.tolerations : []) == variables.tolerations"
        ),
        "tolerates": tolerates(taint),
        "containers": (
            "object.spec.containers + (has(object.spec.initContainers) ? object.spec.initContainers : [])"
        ),
        "asksForGpu": (
            "variables.containers.exists(c, has(c.resources) && has(c.resources.limits) && "
            f"{resource} in c.resources.limits && "
            f'quantity(c.resources.limits[{resource}]).isGreaterThan(quantity("0")))'
        ),
        "account": (
            'request.namespace + "/" + '
            '(has(object.spec.serviceAccountName) ? object.spec.serviceAccountName : "default")'
        ),
        "agentNamespace": (
            f"request.namespace == {json.dumps(CLUSTER_NAMESPACE)} || "
            f"(has(namespaceObject.metadata.labels) && {label} in namespaceObject.metadata.labels && "
            f"namespaceObject.metadata.labels[{label}] == {json.dumps(AGENTS_ALLOWED)})"
        ),
        "isAgent": (
            f"variables.account in {json.dumps(_AGENT_ACCOUNTS)} || "
            f"(has(request.userInfo.groups) && {json.dumps(KUBELETS)} in request.userInfo.groups) || "
            f"(request.userInfo.username in {json.dumps(DAEMONSET_CONTROLLERS)} && variables.agentNamespace)"
        ),
    }


def _message(taint: Mapping[str, str]) -> str:
    return (
        f"the pod tolerates the taint of GPU nodes ({taint['key']}={taint['value']}:{taint['effect']}) "
        f"and asks for no GPU: set a limit for {GPU_RESOURCE}, or remove the toleration; "
        "an agent of every node has to be on the platform's list of node agents"
    )


class GpuAdmission(pulumi.ComponentResource):
    """Makes the rule and puts it in force."""

    policy: pulumi.Output[str]

    def __init__(self, name: str, args: GpuAdmissionArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("vllm-platform:security:GpuAdmission", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        metadata: ObjectMetaArgsDict = {
            "name": args.name,
            "labels": {"app.kubernetes.io/part-of": "vllm-platform"},
        }
        policy = ValidatingAdmissionPolicy(
            f"{name}-policy", metadata=metadata, spec=policy_spec(args.taint), opts=child
        )
        self.policy = policy.metadata.name
        ValidatingAdmissionPolicyBinding(
            f"{name}-binding", metadata=metadata, spec=binding_spec(self.policy), opts=child
        )
        self.register_outputs({"policy": self.policy})
