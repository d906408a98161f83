"""Node images of the pinned releases: that AWS still publishes them in the region."""

from typing import Final

from ops.preflight_checks.aws import Aws
from ops.preflight_checks.calls import PARAMETERS
from ops.preflight_checks.finding import Outcome, Probe, Target, missing, ok
from settings.cluster import EksCluster
from settings.pools import GpuPool, NodeImage

ARCHITECTURE: Final = "x86_64"


def images(aws: Aws, target: Target) -> list[Probe]:
    """Ask for each image that some pool starts from."""
    pools = target.settings.pools
    used: dict[tuple[NodeImage, bool], None] = dict.fromkeys(
        (pool.node_image, isinstance(pool, GpuPool)) for pool in pools
    )
    return [_probe(aws, target.cluster, image, gpu=gpu) for image, gpu in used]


def parameters(cluster: EksCluster, image: NodeImage, *, gpu: bool) -> tuple[str, str | None]:
    """Return the names of the public parameters with an image's id and, where there is one, its AMI release."""
    if image == "bottlerocket":
        variant = f"aws-k8s-{cluster.version}{'-nvidia' if gpu else ''}"
        release = cluster.bottlerocket_release
        return f"/aws/service/bottlerocket/{variant}/{ARCHITECTURE}/{release}/image_id", None
    variant = "nvidia" if gpu else "standard"
    name = f"amazon-eks-node-al2023-{ARCHITECTURE}-{variant}-{cluster.version}-v{cluster.al2023_date}"
    folder = (
        f"/aws/service/eks/optimized-ami/{cluster.version}/amazon-linux-2023/{ARCHITECTURE}/{variant}/{name}"
    )
    return f"{folder}/image_id", f"{folder}/release_version"


def _probe(aws: Aws, cluster: EksCluster, image: NodeImage, *, gpu: bool) -> Probe:
    release = cluster.bottlerocket_release if image == "bottlerocket" else cluster.al2023_release
    path, version_path = parameters(cluster, image, gpu=gpu)

    def look() -> Outcome:
        names = [path, *([version_path] if version_path else [])]
        answer = aws.ask(PARAMETERS, Names=names)
        values = {str(one["Name"]): str(one["Value"]) for one in answer.get("Parameters", [])}
        if path not in values:
            return missing(
                f"no such image is published in {cluster.region}: {path}",
                f"write a release that is in cluster.node_images.{image}",
            )
        version = values.get(version_path or "")
        if version is not None and version != release:
            return missing(
                f"{values[path]}, whose AMI release is {version}",
                f"write {version} in cluster.node_images.{image}",
            )
        return ok(values[path] if version is None else f"{values[path]}, AMI release {version}")

    subject = f"{image} for {'GPU' if gpu else 'CPU'} nodes"
    return Probe(subject=subject, needed=f"release {release} for Kubernetes {cluster.version}", look=look)
