"""Bucket, shared directory and edge: that they belong to the cluster's kind, and that models find their weights."""

from collections.abc import Iterable
from typing import Final

from settings.checks.naming import at
from settings.cluster import EksCluster
from settings.draft import Draft
from settings.edge import CloudFrontEdge
from settings.models import Model
from settings.problems import Problem
from settings.storage import CreatedBucket, EfsShare, ExistingBucket, NoBucket, NoShare, Storage
from settings.weights import CachedWeights, StreamedWeights

# Elastic Load Balancing, CreateLoadBalancer: "must not begin with internal-".
RESERVED_PREFIX: Final = "internal-"


def check(draft: Draft) -> list[Problem]:
    """Return the problems of storage and edge."""
    if draft.cluster is None:
        return []
    problems = [*_edge(draft)]
    if draft.storage is not None:
        problems += _kinds(draft.storage, draft)
        for model in draft.models:
            problems += [*_streamed(model, draft.storage, draft), *_cached(model, draft.storage, draft)]
    return problems


def _kinds(storage: Storage, draft: Draft) -> Iterable[Problem]:
    """What only AWS has can not be there on a cluster that somebody else made."""
    if isinstance(draft.cluster, EksCluster):
        return
    if isinstance(storage.bucket, CreatedBucket | ExistingBucket):
        yield Problem(
            "storage.bucket.kind",
            storage.bucket.kind,
            "on a cluster that the program does not create, no role could be given to the models",
            "use `compatible` with a Secret, or `off` and give the models' service accounts their rights",
        )
    if isinstance(storage.shared, EfsShare):
        yield Problem(
            "storage.shared.kind",
            "efs",
            "the program creates a file system only in a network of its own",
            "use `nfs`, or `off` and a claim that is there",
        )


def _edge(draft: Draft) -> Iterable[Problem]:
    if not isinstance(draft.edge, CloudFrontEdge):
        return
    cluster = draft.cluster
    if not isinstance(cluster, EksCluster):
        yield Problem(
            "edge.kind",
            "cloudfront",
            "the edge joins a load balancer in the network that the program creates, and there is none",
            "write `edge: {kind: off}`",
        )
    elif cluster.partition != "aws":
        yield Problem(
            "edge.kind",
            "cloudfront",
            f"CloudFront with this firewall is not offered beside {cluster.region}",
            "write `edge: {kind: off}`, or use a region outside of China and GovCloud",
        )
    elif cluster.name.startswith(RESERVED_PREFIX):
        yield Problem(
            "cluster.name",
            cluster.name,
            f"its load balancer would bear this name, and AWS keeps names with {RESERVED_PREFIX!r} for itself",
            "choose another name for the cluster",
        )


def _streamed(model: Model, storage: Storage, draft: Draft) -> Iterable[Problem]:
    if not isinstance(model.weights, StreamedWeights):
        return
    bucket, path = storage.bucket, at(model, "weights", "uri")
    if isinstance(bucket, NoBucket):
        if isinstance(draft.cluster, EksCluster):
            name = model.weights.bucket
            yield Problem(
                path,
                model.weights.uri,
                "no role may read it: the stack names no bucket",
                f"add `vllm-platform:storage: {{bucket: {{kind: existing, name: {name}}}}}`, or kind created",
            )
    elif model.weights.bucket != bucket.name:
        yield Problem(
            path,
            model.weights.uri,
            f"lies in another bucket than the stack's, {bucket.name}, the only one that models may read",
            f"write 's3://{bucket.name}/{model.weights.prefix}', or change storage.bucket.name",
        )


def _cached(model: Model, storage: Storage, draft: Draft) -> Iterable[Problem]:
    """On a new cluster there is no claim but the one that the program makes; elsewhere there may be others."""
    if not isinstance(model.weights, CachedWeights) or not isinstance(draft.cluster, EksCluster):
        return
    claim, path = model.weights.claim, at(model, "weights", "claim")
    if isinstance(storage.shared, NoShare):
        yield Problem(
            path,
            claim,
            "nothing makes this claim: the stack has no shared directory",
            f"add `vllm-platform:storage: {{shared: {{kind: efs, claim: {claim}}}}}`",
        )
    elif claim != storage.shared.claim:
        yield Problem(
            path,
            claim,
            f"nothing makes this claim: the shared directory's is {storage.shared.claim}",
            f"write {storage.shared.claim!r}, or change storage.shared.claim",
        )
