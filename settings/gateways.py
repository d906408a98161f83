"""The gateway in front of the models: Envoy Gateway, or Kong."""

from typing import Annotated, Any, Final, cast

from pydantic import Field

from settings.gateway import Gateway
from settings.kong import KongGateway

AnyGateway = Annotated[Gateway | KongGateway, Field(discriminator="kind")]
DEFAULT_KIND: Final = "envoy"


def with_kind(value: object) -> object:
    """Return a section as it is read: one that does not say which gateway means Envoy Gateway."""
    if not isinstance(value, dict):
        return value
    return {"kind": DEFAULT_KIND, **cast("dict[str, Any]", value)}
