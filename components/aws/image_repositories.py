"""Repositories of the stack's images in Amazon ECR.

Owns: one repository for each that the settings name, with its lifecycle. Does not own: the images, and the
nodes' right to pull (part of their role).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi
from pulumi_aws.ecr import LifecyclePolicy, Repository

CACHE_TAGS: Final = "cache*"
"""Tags of build caches, the only ones that may be moved to another image."""
UNTAGGED_DAYS: Final = 14


@dataclass(frozen=True, kw_only=True)
class ImageRepositoriesArgs:
    """`repositories`: names, in any order."""

    repositories: Sequence[str]
    key_arn: pulumi.Input[str]


class ImageRepositories(pulumi.ComponentResource):
    """Makes them. `ready`, their names joined by commas, is known once all are there."""

    ready: pulumi.Output[str]

    def __init__(
        self, name: str, args: ImageRepositoriesArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("vllm-platform:storage:ImageRepositories", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        names: list[pulumi.Output[str]] = []
        for repository_name in sorted(set(args.repositories)):
            repository = Repository(
                f"{name}-{repository_name}",
                name=repository_name,
                # A tag that was deployed names the same image for ever, also where no digest is written.
                image_tag_mutability="IMMUTABLE_WITH_EXCLUSION",
                image_tag_mutability_exclusion_filters=[{"filter": CACHE_TAGS, "filter_type": "WILDCARD"}],
                image_scanning_configuration={"scan_on_push": True},
                encryption_configurations=[{"encryption_type": "KMS", "kms_key": args.key_arn}],
                # An image in use can not be built again bit by bit.
                force_delete=False,
                opts=child,
            )
            policy = LifecyclePolicy(
                f"{name}-{repository_name}-lifecycle",
                repository=repository.name,
                policy=json.dumps(lifecycle_policy(), sort_keys=True),
                opts=child,
            )
            names.append(policy.repository)
        self.ready = pulumi.Output.all(*names).apply(",".join)
        self.register_outputs({"ready": self.ready})


def lifecycle_policy() -> dict[str, Any]:
    """Return what is deleted: caches that a newer build has replaced.

    Safe for what runs: a model names its image by tag and digest, tags can not be moved away from an image
    (but those of caches), and ECR keeps what a tagged index refers to. A rule that counts tagged images is
    not safe: it knows nothing of replicas, and would take a release that still serves once enough newer ones
    were pushed.
    """
    rule: dict[str, Any] = {
        "rulePriority": 1,
        "description": f"Replaced build caches, {UNTAGGED_DAYS} days after their push",
        "selection": {
            "tagStatus": "untagged",
            "countType": "sinceImagePushed",
            "countUnit": "days",
            "countNumber": UNTAGGED_DAYS,
        },
        "action": {"type": "expire"},
    }
    return {"rules": [rule]}
