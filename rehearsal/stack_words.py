"""What a stack asks for, in a few words: the column of a rehearsal's list that says what is not there. None: not asked for."""

from settings.stack import Settings


def gateway_addon(settings: Settings) -> str:
    """The add-on that is the stack's gateway."""
    return "kong" if settings.gateway.kind == "kong" else "envoy_gateway"


def edge(settings: Settings) -> str | None:
    """How the internet comes in."""
    return f"cloudfront, {settings.edge.domain}" if settings.edge.kind == "cloudfront" else None


def routes(settings: Settings) -> str | None:
    """Which gateway, before how many models."""
    gateway = gateway_addon(settings).replace("_", " ")
    return f"{gateway}, {len(settings.enabled_models)} models" if settings.routes else None


def limits(settings: Settings) -> str | None:
    """How many requests a consumer has."""
    limits = settings.request_limits
    if settings.cluster.kind == "rehearsal" or limits is None:
        return None
    return f"{limits.requests_per_minute} requests a minute, {len(limits.plans)} plans"


def pools(settings: Settings, kind: str) -> str | None:
    """Pools of a kind of provisioner."""
    found = [p.name for p in settings.pools if p.provisioner.kind == kind]
    return f"{kind}: {', '.join(found)}" if found else None


def capacity(settings: Settings) -> str | None:
    """Pools that are not on demand."""
    found = [f"{p.name} ({p.capacity.kind})" for p in settings.pools if p.capacity.kind != "on-demand"]
    return ", ".join(found) or None


def example_digests(settings: Settings) -> str | None:
    """Images that are named by the example."""
    return ", ".join(settings.example_digests()) or None


def built_images(settings: Settings) -> str | None:
    """Images that the program builds."""
    found = {f"{image.repository}:{image.tag}" for image in settings.images.values() if image.is_built}
    return ", ".join(sorted(found)) or None


def store(settings: Settings) -> str | None:
    """Where secrets are kept, and which."""
    needed = [f"{one.namespace}/{one.name}" for one in settings.needed_secrets]
    return f"{settings.secrets.kind}: {', '.join(needed)}" if settings.secrets.kind != "manual" else None


def scalers(settings: Settings) -> str | None:
    """Models that scale by HPA."""
    found = [m.name for m in settings.deployed_models if m.autoscaling.kind == "hpa"]
    return f"hpa: {', '.join(found)}" if found else None


def fills(settings: Settings) -> str | None:
    """Models whose claims a Job fills."""
    return ", ".join(m.name for m in settings.deployed_models if m.fill) or None


def weights(settings: Settings) -> str | None:
    """Where each model has its weights."""
    found = [f"{m.name} ({m.weights.kind})" for m in settings.deployed_models]
    return ", ".join(found) or None
