"""Cases of rules about routes: where they lead, and what whoever takes them must show."""

from tests.policies.cases import Case, Given, obj
from tests.policies.kubernetes import MODEL, SPACE

GATEWAY = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "api-gateway"}
ROUTED: dict[str, Given] = {
    "chat": MODEL,
    "gateway": obj("gateway.networking.k8s.io/v1", "Gateway", "api-gateway", SPACE, spec={}),
    "route": obj(
        "gateway.networking.k8s.io/v1",
        "HTTPRoute",
        "chat",
        SPACE,
        spec={
            "parentRefs": [{"name": "api-gateway"}],
            "rules": [{"backendRefs": [{"name": "chat-predictor", "weight": 100}]}],
        },
    ),
    "security": obj(
        "gateway.envoyproxy.io/v1alpha1",
        "SecurityPolicy",
        "security",
        SPACE,
        spec={
            "targetRefs": [GATEWAY],
            "jwt": {"providers": [{"name": "issuer"}], "optional": False},
            "cors": {"allowOrigins": ["https://chat.example.com"]},
        },
    ),
    "limits": obj(
        "gateway.envoyproxy.io/v1alpha1",
        "BackendTrafficPolicy",
        "limits",
        SPACE,
        spec={
            "targetRefs": [GATEWAY],
            "rateLimit": {"global": {"rules": [{"limit": {"requests": 100, "unit": "Minute"}}]}},
        },
    ),
}
KONG: dict[str, Given] = {
    "route": obj(
        "gateway.networking.k8s.io/v1",
        "HTTPRoute",
        "chat",
        SPACE,
        annotations={"konghq.com/plugins": "tokens,rate,pages"},
        spec=ROUTED["route"][1]["spec"],
    ),
    "tokens": (
        "kubernetes:configuration.konghq.com/v1:KongPlugin",
        {
            "metadata": {"name": "tokens", "namespace": SPACE},
            "plugin": "jwt",
            "disabled": False,
            "config": {"anonymous": None},
        },
    ),
    "rate": (
        "kubernetes:configuration.konghq.com/v1:KongPlugin",
        {"metadata": {"name": "rate", "namespace": SPACE}, "plugin": "rate-limiting", "disabled": False},
    ),
    "pages": (
        "kubernetes:configuration.konghq.com/v1:KongPlugin",
        {
            "metadata": {"name": "pages", "namespace": SPACE},
            "plugin": "cors",
            "config": {"origins": ["https://chat.example.com"]},
        },
    ),
}
ELSEWHERE: dict[str, Given] = {
    **ROUTED,
    "route": obj(
        "gateway.networking.k8s.io/v1",
        "HTTPRoute",
        "chat",
        "edge",
        spec={"rules": [{"backendRefs": [{"name": "chat-predictor", "namespace": SPACE, "weight": 100}]}]},
    ),
}

ROUTE = {"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": "chat"}


def owning(kind: str, **spec: object) -> dict[str, Given]:
    """A route with a policy of its own, beside those of its Gateway."""
    own = obj("gateway.envoyproxy.io/v1alpha1", kind, "own", SPACE, spec={"targetRefs": [ROUTE], **spec})
    return {**ROUTED, "own": own}


PAGES = owning(
    "SecurityPolicy",
    mergeType="StrategicMerge",
    cors={"allowOrigins": ["https://chat.example.com"]},
    jwt={"optional": False},
)
ENTERED: dict[str, Given] = {
    "chat": MODEL,
    "entry": obj(
        "networking.k8s.io/v1",
        "Ingress",
        "entry",
        SPACE,
        spec={
            "defaultBackend": {"service": {"name": "pages"}},
            "rules": [{"http": {"paths": [{"backend": {"service": {"name": "pages"}}}]}}],
        },
    ),
}
PLUGGED: dict[str, Given] = {
    "chat": MODEL,
    "entry": obj(
        "networking.k8s.io/v1",
        "Ingress",
        "entry",
        SPACE,
        annotations={"konghq.com/plugins": "tokens"},
        spec={"defaultBackend": {"service": {"name": "chat-predictor"}}},
    ),
    "tokens": KONG["tokens"],
}

CASES = (
    Case(
        rule="routes-can-shift-traffic",
        keeps=ROUTED,
        at=("route", "spec", "rules", 0, "backendRefs", 0, "weight"),
        absent=True,
        says="has no weight",
    ),
    Case(
        rule="routes-can-shift-traffic",
        keeps=ROUTED,
        at=("route", "spec", "rules", 0, "backendRefs", 0, "name"),
        wrong=("other",),
        absent=True,
        says="no route leads to the model chat",
    ),
    Case(
        rule="routes-can-shift-traffic",
        keeps=ROUTED,
        at=("route", "metadata", "namespace"),
        wrong=("other",),
        absent=True,
        says="no route leads to the model chat",
    ),
    Case(
        rule="routes-can-shift-traffic",
        keeps=ELSEWHERE,
        at=("route", "spec", "rules", 0, "backendRefs", 0, "namespace"),
        wrong=("other",),
        absent=True,
        says="no route leads to the model chat",
    ),
    Case(
        rule="routes-ask-for-a-token",
        keeps=ROUTED,
        at=("security", "spec", "jwt"),
        wrong=({}, {"providers": []}),
        absent=True,
        says="lets anybody in",
    ),
    Case(
        rule="routes-ask-for-a-token",
        keeps=ROUTED,
        at=("security", "spec", "targetRefs"),
        wrong=([{**GATEWAY, "name": "other"}],),
        absent=True,
        says="lets anybody in",
    ),
    Case(
        rule="routes-ask-for-a-token",
        keeps=KONG,
        at=("tokens", "plugin"),
        wrong=("cors",),
        absent=True,
        says="lets anybody in",
    ),
    Case(
        rule="routes-ask-for-a-token",
        keeps=ROUTED,
        at=("security", "spec", "jwt", "optional"),
        wrong=(True,),
        says="lets anybody in",
    ),
    Case(
        rule="routes-ask-for-a-token",
        keeps=PAGES,
        at=("own", "spec", "mergeType"),
        absent=True,
        says="its own SecurityPolicy replaces the Gateway's",
    ),
    Case(
        rule="routes-ask-for-a-token",
        keeps=PAGES,
        at=("own", "spec", "jwt", "optional"),
        wrong=(True,),
        says="lets anybody in",
    ),
    Case(
        rule="routes-ask-for-a-token",
        keeps=owning("SecurityPolicy", jwt={"providers": [{"name": "issuer"}]}),
        at=("own", "spec", "jwt"),
        wrong=({"providers": []},),
        absent=True,
        says="lets anybody in",
    ),
    Case(
        rule="routes-ask-for-a-token",
        keeps=KONG,
        at=("tokens", "disabled"),
        wrong=(True,),
        says="lets anybody in",
    ),
    Case(
        rule="routes-ask-for-a-token",
        keeps=KONG,
        at=("tokens", "config", "anonymous"),
        wrong=("guest",),
        says="lets anybody in",
    ),
    Case(
        rule="routes-ask-for-a-token",
        keeps=ENTERED,
        at=("entry", "spec", "defaultBackend", "service", "name"),
        wrong=("chat-predictor", "chat"),
        says="the Ingress entry leads to the model chat past the gateway",
    ),
    Case(
        rule="routes-ask-for-a-token",
        keeps=ENTERED,
        at=("entry", "spec", "rules", 0, "http", "paths", 0, "backend", "service", "name"),
        wrong=("chat-predictor",),
        says="past the gateway",
    ),
    Case(
        rule="routes-ask-for-a-token",
        keeps=PLUGGED,
        at=("entry", "metadata", "annotations", "konghq.com/plugins"),
        wrong=("rate",),
        absent=True,
        says="past the gateway",
    ),
    Case(
        rule="routes-have-a-rate-limit",
        keeps=ROUTED,
        at=("limits", "spec", "rateLimit"),
        wrong=({}, {"global": {"rules": []}}),
        absent=True,
        says="as many requests as come",
    ),
    Case(
        rule="routes-have-a-rate-limit",
        keeps=KONG,
        at=("route", "metadata", "annotations", "konghq.com/plugins"),
        wrong=("tokens",),
        absent=True,
        says="as many requests as come",
    ),
    Case(
        rule="routes-have-a-rate-limit",
        keeps=owning("BackendTrafficPolicy", mergeType="JSONMerge", retry={"numRetries": 2}),
        at=("own", "spec", "mergeType"),
        absent=True,
        says="its own BackendTrafficPolicy replaces the Gateway's",
    ),
    Case(
        rule="routes-have-a-rate-limit",
        keeps=KONG,
        at=("rate", "disabled"),
        wrong=(True,),
        says="as many requests as come",
    ),
    Case(
        rule="no-page-of-anybody-may-call",
        keeps=ROUTED,
        at=("security", "spec", "cors", "allowOrigins"),
        wrong=(["*"], ["https://*.example.com"]),
        says="lets pages of",
    ),
    Case(
        rule="no-page-of-anybody-may-call",
        keeps=KONG,
        at=("pages", "config", "origins"),
        wrong=(["*"], []),
        absent=True,
        says="lets pages of *",
    ),
)
