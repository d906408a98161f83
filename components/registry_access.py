"""How the program gets at the stack's registry: a user for pushes, and whether an image is there.

The password of a registry is never an input that a plan shows: it is a secret Output, and providers leave it out of
their comparison.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pulumi

from settings import Settings
from settings.builds import REGISTRY_PASSWORD, PasswordLogin
from settings.registry import Image

DOCKER: Final = "docker"
Found = Callable[[Image], pulumi.Output[str]]
"""Asks the registry for an image by its digest. Known once it was found; the run fails where it is not."""


@dataclass(frozen=True, kw_only=True)
class RegistryLogin:
    """address: the registry's host, without a project's path."""

    address: str
    username: pulumi.Input[str]
    password: pulumi.Input[str]


@dataclass(frozen=True, kw_only=True)
class RegistryAccess:
    """login: makes one, for pushes; None is whatever Docker has on the machine. after: what must be there before a push."""

    login: Callable[[], RegistryLogin | None]
    found: Found
    after: Sequence[pulumi.Resource] = ()


def docker_registry(settings: Settings, secrets: Mapping[str, pulumi.Output[str]]) -> RegistryAccess:
    """Reach any registry, as Docker does. Nothing is asked of it, and no provider made, before an image is."""
    host = settings.registry.host
    address, login = host.partition("/")[0], settings.login
    user = (
        RegistryLogin(address=address, username=login.username, password=secrets[REGISTRY_PASSWORD])
        if isinstance(login, PasswordLogin)
        else None
    )
    providers: list[pulumi.ProviderResource] = []

    def found(image: Image) -> pulumi.Output[str]:
        # Its types take a moment to load, and most runs need none of them.
        from pulumi_docker import Provider, ProviderRegistryAuthArgs, get_registry_image_output  # noqa: PLC0415

        if not providers:
            auth = ProviderRegistryAuthArgs(
                address=f"https://{address}",
                username=user.username if user else None,
                password=user.password if user else None,
            )
            # It only asks a registry: no engine needs to run on this machine.
            providers.append(Provider(DOCKER, registry_auth=[auth], disable_docker_daemon_check=True))
        name = f"{host}/{image.repository}@{image.digest}"
        answer = get_registry_image_output(name=name, opts=pulumi.InvokeOutputOptions(provider=providers[0]))
        return answer.sha256_digest

    return RegistryAccess(login=lambda: user, found=found)
