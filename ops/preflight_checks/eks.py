"""EKS itself: that it offers the Kubernetes version in standard support, and the pinned version of each add-on."""

from typing import Any

from ops.preflight_checks.aws import Aws, RefusedError
from ops.preflight_checks.calls import ADDON_VERSIONS, CLUSTER_VERSIONS
from ops.preflight_checks.finding import Outcome, Probe, Target, missing, ok
from settings.cluster import EksCluster
from settings.storage import EfsShare


def kubernetes(aws: Aws, target: Target) -> list[Probe]:
    """Ask for the version. Extended support costs six times the price, and the program refuses to pay it."""
    version = target.cluster.version

    def look() -> Outcome:
        try:
            answer: list[dict[str, Any]] = aws.ask(CLUSTER_VERSIONS, clusterVersions=[version])[
                "clusterVersions"
            ]
        except RefusedError as error:
            if error.code != "InvalidParameterException":
                raise
            answer = []
        found = next((one for one in answer if one.get("clusterVersion") == version), None)
        fix = "use a version in standard support for cluster.version"
        if found is None:
            return missing(f"EKS does not offer {version} in {target.cluster.region}", fix)
        status = str(found.get("versionStatus") or found.get("status"))
        end = found.get("endOfStandardSupportDate")
        text = f"{status}{f' until {end:%Y-%m-%d}' if end else ''}"
        return ok(text) if status.upper().replace("-", "_") == "STANDARD_SUPPORT" else missing(text, fix)

    return [Probe(subject=f"Kubernetes {version}", needed="offered, in standard support", look=look)]


def addons(aws: Aws, target: Target) -> list[Probe]:
    """Ask for each add-on that the program installs."""
    cluster = target.cluster
    shared = isinstance(target.settings.storage.shared, EfsShare)
    return [
        Probe(
            subject=name,
            needed=f"{cluster.addon_version(name)} for Kubernetes {cluster.version}",
            look=lambda name=name: _addon(aws, cluster, name),
        )
        for name in cluster.facts.addons
        if shared or name != "aws-efs-csi-driver"
    ]


def _addon(aws: Aws, cluster: EksCluster, name: str) -> Outcome:
    wanted = cluster.addon_version(name)
    try:
        answer: list[dict[str, Any]] = aws.ask(
            ADDON_VERSIONS, kubernetesVersion=cluster.version, addonName=name
        )["addons"]
    except RefusedError as error:
        if error.code not in {"ResourceNotFoundException", "InvalidParameterException"}:
            raise
        answer = []
    offered = [
        str(version["addonVersion"])
        for addon in answer
        if addon.get("addonName") == name
        for version in addon.get("addonVersions", [])
    ]
    if wanted in offered:
        return ok("offered")
    # AWS lists the newest first.
    newest = f"the newest is {offered[0]}" if offered else "EKS offers none"
    return missing(
        f"not offered: {newest}", f"write another one in cluster.addon_versions.{name.replace('-', '_')}"
    )
