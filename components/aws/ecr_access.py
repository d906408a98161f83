"""The stack's registry where it is Amazon ECR in its own account: a token for each run, and a look for an image.

ECR is asked itself whether an image is there: a token in the configuration of pulumi-docker would be another one in
every plan.
"""

import pulumi
from pulumi_aws import Provider
from pulumi_aws.ecr import get_authorization_token_output, get_image_output

from components.aws.image_repositories import ImageRepositories
from components.registry_access import RegistryAccess, RegistryLogin
from settings.builds import EcrLogin, Login
from settings.registry import EcrRegistry, Image


def ecr_access(
    registry: EcrRegistry, login: Login, provider: Provider, repositories: ImageRepositories
) -> RegistryAccess:
    """Return how the program pushes to it and asks it, once its repositories are there."""

    def found(image: Image) -> pulumi.Output[str]:
        answer = get_image_output(
            registry_id=registry.account,
            repository_name=image.repository,
            image_digest=image.digest,
            opts=pulumi.InvokeOutputOptions(provider=provider, depends_on=[repositories]),
        )
        return answer.image_digest

    return RegistryAccess(
        login=lambda: _token(registry, provider) if isinstance(login, EcrLogin) else None,
        found=found,
        after=[repositories],
    )


def _token(registry: EcrRegistry, provider: Provider) -> RegistryLogin:
    token = get_authorization_token_output(
        registry_id=registry.account, opts=pulumi.InvokeOutputOptions(provider=provider)
    )
    return RegistryLogin(
        address=registry.host, username=token.user_name, password=pulumi.Output.secret(token.password)
    )
