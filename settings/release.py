"""What one version of a model runs: the set that a rollout, a promotion and a rollback move as a whole.

Charts are the stack's, not a model's: their versions stand beside these sets in the stack's outputs.
"""

from settings.base import Section
from settings.engine import Engine
from settings.registry import Image
from settings.scalars import Revision
from settings.sources import WeightSource
from settings.weights import Weights


class Release(Section):
    """One version, complete. Nothing here says where it runs: no host of a registry, no pool, no replicas."""

    image: Image
    model: str
    source: WeightSource
    revision: Revision
    weights: Weights
    engine: Engine


class ReleaseChange(Section):
    """A version as it differs from another one: each key is given whole, or is the other's."""

    image: Image | None = None
    model: str | None = None
    source: WeightSource | None = None
    revision: Revision | None = None
    weights: Weights | None = None
    engine: Engine | None = None

    def applied_to(self, release: Release) -> Release:
        """Return the release with what is given here in its place."""
        given = {name: getattr(self, name) for name in self.model_fields_set}
        return release.model_copy(update={name: value for name, value in given.items() if value is not None})
