"""What the settings of `security` mean: a part of `meanings`."""

from typing import Final

SECURITY_MEANINGS: Final[dict[str, str]] = {
    "Settings.security": "Who may talk to whom inside the cluster (`docs/security.md`).",
    "Security.mesh": (
        "Mutual TLS between pods, and who may call whom by identity; left out: `ambient` where the stack has Istio, else `off`. "
        "`prod` needs it."
    ),
    "Security.network": "What the network lets through. `prod` needs `default-deny`.",
    "Security.prometheus": "Who a Prometheus that exists is, if not as the program's own would be.",
    "Security.pods": "Level of pod security of the models' namespace; below `restricted` only outside of `prod`.",
    "AmbientMesh.kind": "Istio in ambient mode: every connection between pods is mutual TLS",
    "NoMesh.kind": "plain connections",
    "DefaultDeny.kind": "nothing but what the stack needs",
    "DefaultDeny.callers": "Who calls the gateway, or where there is none the models; the load balancer of the edge needs no row.",
    "OpenNetwork.kind": "everything; not in `prod`",
    "NamespaceCaller.kind": "all pods of another namespace",
    "NamespaceCaller.name": "Its name.",
    "AddressCaller.kind": "a block of addresses, of a load balancer or of machines outside",
    "AddressCaller.block": "The block, e.g. `10.0.0.0/16`.",
    "Account.namespace": "Its namespace.",
    "Account.account": "Its service account.",
    "Settings.policies": "What the stack says to the policy pack (`docs/policies.md`).",
    "Policies.levels": "What happens where a rule does not hold; left out: what is usual in the environment.",
    "Policies.exempt": "Resources that a rule leaves alone; `vp policy` shows them.",
    "Policies.registries": "Hosts, or hosts with the beginning of a path, that images may come from; empty is any.",
    "Policies.licences": "Licences that weights may be under; empty is the list of the pack.",
    "RuleLevel.rule": "Name of a rule.",
    "RuleLevel.level": "`remediate` puts right what it can, and refuses the rest.",
    "Exemption.rule": "Name of a rule.",
    "Exemption.resource": "Name of a Kubernetes object; of anything else its name in the program.",
    "Exemption.reason": "Why, in a sentence.",
}
