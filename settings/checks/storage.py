"""Bucket, shared directory and edge: that they belong to the cluster's kind, and that models find their weights."""

from collections.abc import Iterable
from typing import Final

from settings.checks.amounts import requests_within_limits
from settings.checks.images import named_by_digest
from settings.checks.naming import at, of_versions
from settings.cluster import EksCluster
from settings.draft import Draft
from settings.edge import CloudFrontEdge
from settings.models import Model
from settings.problems import Problem
from settings.storage import CreatedBucket, EfsShare, ExistingBucket, NoBucket, NoShare, Storage
from settings.weights import CachedWeights, StreamedWeights, bucket_and_prefix

# Elastic Load Balancing, CreateLoadBalancer: "must not begin with internal-".
RESERVED_PREFIX: Final = "internal-"


def check(draft: Draft) -> list[Problem]:
    """Return the problems of storage and edge."""
    if draft.cluster is None:
        return []
    problems = [*_edge(draft)]
    if (storage := draft.storage) is not None:
        problems += _kinds(storage, draft)
        problems += of_versions(draft.models, lambda model: _weights(model, storage, draft))
        problems += _fetch(storage, draft)
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


def _weights(model: Model, storage: Storage, draft: Draft) -> Iterable[Problem]:
    yield from _read(model, storage, draft)
    yield from _pinned(model)
    yield from _cached(model, storage, draft)
    yield from _filled(model, storage)


def _read(model: Model, storage: Storage, draft: Draft) -> Iterable[Problem]:
    """Who streams weights, or fills a claim from a bucket, must have the right to read it."""
    uri = model.read_from_s3
    if uri is None:
        return
    bucket, (name, prefix) = storage.bucket, bucket_and_prefix(uri)
    path = at(model, "weights" if isinstance(model.weights, StreamedWeights) else "source", "uri")
    if isinstance(bucket, NoBucket):
        if isinstance(draft.cluster, EksCluster):
            yield Problem(
                path,
                uri,
                "no role may read it: the stack names no bucket",
                f"add `vllm-platform:storage: {{bucket: {{kind: existing, name: {name}}}}}`, or kind created",
            )
    elif name != bucket.name:
        yield Problem(
            path,
            uri,
            f"lies in another bucket than the stack's, {bucket.name}, the only one that models may read",
            f"write 's3://{bucket.name}/{prefix}', or change storage.bucket.name",
        )


def _pinned(model: Model) -> Iterable[Problem]:
    """What lies under a name without the revision can be written over: replicas of one version would then differ."""
    weights = model.weights
    if not isinstance(weights, StreamedWeights):
        return
    if weights.unpinned is None and model.revision not in weights.uri.split("/"):
        yield Problem(
            at(model, "weights", "uri"),
            weights.uri,
            "its path does not bear the revision, so other weights could come to lie there unseen",
            f"write '{weights.uri}/{model.revision}' and lay them there, or say why not: `unpinned: {{reason: ...}}`",
        )
    if weights.distributed and model.gpus == 1:
        yield Problem(
            path=at(model, "weights", "distributed"),
            value=True,
            reason="a replica of one GPU has one process, and nobody to share the reading with",
            fix="remove the key",
        )


def _filled(model: Model, storage: Storage) -> Iterable[Problem]:
    if model.fill and storage.fetch is None:
        yield Problem(
            at(model, "weights", "fill", "kind"),
            "job",
            "nothing says which image the Job runs",
            "add `fetch: {image: {repository: llm/vllm-fetch, tag: v1.0}}` to the section `storage`",
        )


def _fetch(storage: Storage, draft: Draft) -> Iterable[Problem]:
    if storage.fetch is None:
        return
    image = storage.fetch.image
    yield from named_by_digest(image, "storage.fetch.image", draft)
    for model in draft.models:
        if (model.image.repository, model.image.tag) == (image.repository, image.tag):
            yield Problem(
                "storage.fetch.image.repository",
                image.repository,
                f"is what {model.name} runs as its engine, and this image has none",
                "write the repository that the Dockerfile's target `fetch` was pushed to",
            )
    yield from requests_within_limits(storage.fetch.resources, "storage.fetch.resources.requests")


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
