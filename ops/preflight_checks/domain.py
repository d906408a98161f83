"""The domain of the edge: that its hosted zone is there, public, and above the domain."""

from ops.preflight_checks.aws import Aws, RefusedError
from ops.preflight_checks.calls import HOSTED_ZONE
from ops.preflight_checks.finding import Outcome, Probe, Target, missing, ok
from settings.edge import CloudFrontEdge


def domain(aws: Aws, target: Target) -> list[Probe]:
    """Ask for the zone; nothing where the platform is not reached from the internet."""
    edge = target.settings.edge
    if not isinstance(edge, CloudFrontEdge):
        return []

    def look() -> Outcome:
        fix = f"write the id of the public zone that holds {edge.domain} in edge.hosted_zone"
        try:
            zone = aws.ask(HOSTED_ZONE, Id=edge.hosted_zone)["HostedZone"]
        except RefusedError as error:
            if error.code not in {"NoSuchHostedZone", "InvalidInput"}:
                raise
            return missing("the account has no such hosted zone", fix)
        name = str(zone["Name"]).rstrip(".")
        if zone.get("Config", {}).get("PrivateZone"):
            return missing(f"{name}, a private zone: certificates are proven in public ones", fix)
        if edge.domain != name and not edge.domain.endswith(f".{name}"):
            return missing(f"{name}, which does not hold {edge.domain}", fix)
        return ok(name)

    return [Probe(subject=edge.hosted_zone, needed=f"a public zone that holds {edge.domain}", look=look)]
