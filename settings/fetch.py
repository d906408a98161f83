"""The program that brings weights to shared claims: its image, what it may read, what it takes of a node."""

from typing import Final

from settings.base import Section
from settings.models import Amounts, Resources
from settings.registry import Image
from settings.scalars import ClaimName

FETCH_IMAGE: Final = "storage.fetch"
"""What its image is called among those of models. No model can be: a name has no dot."""

# Files are checked as they come, in pieces: hashing takes a core, the hubs' clients keep some hundred MiB in flight.
RESOURCES = Resources(requests=Amounts(cpu="1", memory="2Gi"), limits=Amounts(cpu="4", memory="4Gi"))


class Fetch(Section):
    """Of every Job that fills a claim.

    image: the Dockerfile's target `fetch`.
    hub_token_secret: Secret in the models' namespace with the key `token`, for models that a hub gives to its users only.
    """

    image: Image
    hub_token_secret: ClaimName | None = None
    resources: Resources = RESOURCES
