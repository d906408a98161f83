"""An engine's image, built with BuildKit and pushed.

Owns: the build, and the digest that it gave. Does not own: the repository, the registry's users, and the image once
it is pushed: another stack may run it by its digest, so it stays when the build goes.

Nothing is built in a preview: weights are tens of gigabytes. The provider still reads the Dockerfile there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pulumi
from pulumi_docker_build import CacheMode, Image, Platform

from components.registry_access import RegistryLogin
from settings.image_build import CONTEXT, DOCKERFILE, PLATFORM, ImagePlan

if TYPE_CHECKING:
    from pulumi_docker_build import CacheFromArgsDict, CacheToArgsDict, RegistryArgsDict


@dataclass(frozen=True, kw_only=True)
class VllmImageArgs:
    """secrets: values by the names of the plan. builder: of buildx; None is the default one.

    own_buildx: run the machine's buildx, which attests provenance, and not the one inside the provider.
    after: what must be there before the push.
    """

    plan: ImagePlan
    login: RegistryLogin | None = None
    secrets: Mapping[str, pulumi.Input[str]] = field(default_factory=dict[str, pulumi.Input[str]])
    builder: str | None = None
    own_buildx: bool = False
    after: Sequence[pulumi.Resource] = ()


class VllmImage(pulumi.ComponentResource):
    """Builds and pushes it. `digest` is known once it is in the registry."""

    digest: pulumi.Output[str]

    def __init__(self, name: str, args: VllmImageArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("vllm-platform:images:VllmImage", name, {}, opts)
        plan = args.plan
        image = Image(
            f"{name}-build",
            context={"location": CONTEXT},
            dockerfile={"location": DOCKERFILE},
            target=plan.target,
            build_args=dict(plan.arguments),
            platforms=[Platform(PLATFORM)],
            tags=[plan.tag],
            push=True,
            build_on_preview=False,
            exec_=args.own_buildx,
            builder=None if args.builder is None else {"name": args.builder},
            cache_from=_cache_from(plan),
            cache_to=_cache_to(plan),
            registries=_registries(args.login),
            secrets=dict(args.secrets),
            # A token that was renewed makes no other image.
            ignore_secrets_in_diff_calculation=sorted(args.secrets),
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[*args.after],
                retain_on_delete=True,
                additional_secret_outputs=["registries", "secrets"],
            ),
        )
        self.digest = image.digest
        self.register_outputs({"digest": self.digest})


def _cache_from(plan: ImagePlan) -> "list[CacheFromArgsDict]":
    return [] if plan.cache is None else [{"registry": {"ref": plan.cache}}]


def _cache_to(plan: ImagePlan) -> "list[CacheToArgsDict]":
    """Keep the layers of all stages: `min` would leave out the weights' own, which are dear to fetch."""
    if plan.cache is None:
        return []
    return [
        {
            "registry": {
                "ref": plan.cache,
                "mode": CacheMode.MAX,
                # Amazon ECR takes a cache only as an image of OCI's.
                "image_manifest": True,
                "oci_media_types": True,
                # A cache that could not be kept makes the next build slower, not this one wrong.
                "ignore_error": True,
            }
        }
    ]


def _registries(login: RegistryLogin | None) -> "list[RegistryArgsDict]":
    if login is None:
        return []
    return [{"address": login.address, "username": login.username, "password": login.password}]
