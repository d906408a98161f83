"""Where the secrets of what runs are kept, and how they come into the cluster."""

import re
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from settings.base import Section, refusal

_PREFIX: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?")
_MOUNT: Final = re.compile(r"[a-z0-9]([-_a-z0-9]*[a-z0-9])?(/[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*")
_PEM: Final = re.compile(r"\s*(-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----\s*)+")


def _prefix(value: str) -> str:
    if not _PREFIX.fullmatch(value):
        raise refusal(
            "not a name that paths and roles of a store can begin with",
            "use at most 40 lower-case letters, digits and '-', e.g. 'llm-prod'",
        )
    return value


def _address(value: str) -> str:
    parts = urlsplit(value)
    if parts.username or parts.password:
        raise refusal(
            "an address with credentials in it, and a stack file is committed", "write the address alone"
        )
    if parts.scheme != "https" or not parts.hostname or parts.path not in {"", "/"} or parts.query:
        raise refusal(
            "not the address of a Vault over TLS: tokens and secrets would be read on the way",
            "write e.g. 'https://vault.internal:8200'",
        )
    return value.rstrip("/")


def _mount(value: str) -> str:
    if not _MOUNT.fullmatch(value):
        raise refusal(
            "not the path of a mount in Vault", "write it without a slash at either end, e.g. 'secret'"
        )
    return value


def _authority(value: str) -> str:
    if "PRIVATE KEY" in value:
        raise refusal("holds a private key, and a stack file is committed", "write the certificate alone")
    if not _PEM.fullmatch(value):
        raise refusal(
            "not a certificate in PEM", "copy it whole, from '-----BEGIN CERTIFICATE-----' to the end"
        )
    return value.strip() + "\n"


Prefix = Annotated[str, AfterValidator(_prefix)]
RefreshMinutes = Annotated[int, Field(strict=True, ge=1, le=1440)]


class ManualSecrets(Section):
    """Somebody makes the Secrets that other sections name, before. The program looks at none of them."""

    kind: Literal["manual"]


class PulumiSecrets(Section):
    """The program makes the Secrets, of the stack's own secrets: each key from the one called NAME.KEY."""

    kind: Literal["pulumi"]


class VaultSecrets(Section):
    """HashiCorp Vault, a key-value store of version 2. External Secrets logs in with accounts of the cluster.

    address: None is the add-on's own Vault. authority: who signed its certificate, where no public authority did.
    prefix: all paths, policies and roles begin with it. mount, auth_mount: of the store and of the login.
    """

    kind: Literal["vault"]
    address: Annotated[str, AfterValidator(_address)] | None = None
    authority: Annotated[str, AfterValidator(_authority)] | None = None
    prefix: Prefix
    mount: Annotated[str, AfterValidator(_mount)] = "secret"
    auth_mount: Annotated[str, AfterValidator(_mount)] = "kubernetes"
    refresh_minutes: RefreshMinutes = 60


class AwsSecrets(Section):
    """AWS Secrets Manager, in account and region of the cluster. `prefix`: all names begin with it."""

    kind: Literal["aws"]
    prefix: Prefix
    refresh_minutes: RefreshMinutes = 60


Secrets = Annotated[ManualSecrets | PulumiSecrets | VaultSecrets | AwsSecrets, Field(discriminator="kind")]


def store_path(secrets: VaultSecrets | AwsSecrets, namespace: str, name: str) -> str:
    """Return where in the store a Secret of the cluster is kept."""
    return f"{secrets.prefix}/{namespace}/{name}"
