"""Where Pulumi keeps its state, and what encrypts the secrets in it."""

import re
from typing import Annotated, Final

from pydantic import AfterValidator

from settings.base import Section, refusal

BACKENDS: Final = ("https", "s3", "gs", "azblob", "file")
SECRETS_PROVIDERS: Final = ("awskms", "gcpkms", "azurekeyvault", "hashivault", "passphrase")
_URL: Final = re.compile(r"(?P<scheme>[a-z0-9]+)://(?P<rest>\S*)")


def _backend(value: str) -> str:
    found = _URL.fullmatch(value)
    if found is None or found["scheme"] not in BACKENDS or (not found["rest"] and found["scheme"] != "file"):
        raise refusal(
            "not the URL of a Pulumi backend", "write e.g. 's3://acme-pulumi-state?region=us-east-1'"
        )
    if "@" in found["rest"].partition("/")[0]:
        raise refusal(
            "a URL with credentials in it, and a stack file is committed",
            "write the URL alone; `pulumi login` finds credentials by itself",
        )
    return value


def _secrets_provider(value: str) -> str:
    scheme, _, rest = value.partition("://")
    if scheme not in SECRETS_PROVIDERS or (scheme != "passphrase" and not rest):
        raise refusal(
            "not a secrets provider of Pulumi", "write e.g. 'awskms://alias/pulumi?region=us-east-1'"
        )
    return value


class State(Section):
    """What `pulumi stack init` is given. A run on another backend, or with another provider, is refused."""

    backend: Annotated[str, AfterValidator(_backend)]
    secrets_provider: Annotated[str, AfterValidator(_secrets_provider)]

    @property
    def backend_kind(self) -> str:
        """Scheme of the backend."""
        return self.backend.partition("://")[0]

    @property
    def secrets_kind(self) -> str:
        """Scheme of the secrets provider, or `passphrase`."""
        return self.secrets_provider.partition("://")[0]
