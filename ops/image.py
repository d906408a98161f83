"""`vp image`: the command that builds a model's image as the program would, for a pipeline that builds images itself.

With attestations, which the program's own client can not make: a list of what is in the image (SBOM), and how it was
built (provenance).
"""

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from rehearsal.errors import UserError
from settings import Settings, load_stack_file
from settings.fetch import FETCH_IMAGE
from settings.image_build import (
    CONTEXT,
    DOCKERFILE,
    PLATFORM,
    ImagePlan,
    fetch_plan,
    image_plan,
)

ATTESTATIONS: Final = ("--sbom=true", "--provenance=mode=max")
METADATA: Final = "image.json"


def image_command(stack: str, model_name: str, root: Path) -> str:
    """Return the command, one flag a line; a shell runs it in the project's folder. Raises UserError, SettingsError.

    The digest of what it pushes stands in image.json then, under `containerimage.digest`.
    """
    settings = load_stack_file(root / f"Pulumi.{stack}.yaml")
    plan = _plan(settings, model_name)
    if plan is None:
        known = ", ".join(model.name for model in settings.models)
        message = f"stack {stack} has no model {model_name}; its models: {known}"
        raise UserError(message)
    return " \\\n  ".join(["docker buildx build", *_flags(plan), CONTEXT])


def _plan(settings: Settings, name: str) -> ImagePlan | None:
    """Return how the image of a model is built, or of what fills claims."""
    if name == FETCH_IMAGE and settings.storage.fetch:
        return fetch_plan(settings, settings.storage.fetch)
    found = next((model for model in settings.models if model.name == name), None)
    return None if found is None else image_plan(settings, found)


def _flags(plan: ImagePlan) -> Iterator[str]:
    yield f"--file={DOCKERFILE}"
    yield f"--target={plan.target}"
    yield f"--platform={PLATFORM}"
    for name, value in plan.arguments.items():
        yield shlex.quote(f"--build-arg={name}={value}")
    # Known to a pipeline alone: in the program every commit would make another image.
    yield '--build-arg=COMMIT="$(git rev-parse HEAD)"'
    for name in plan.secrets:
        # The value comes from a variable of the pipeline's: it stands in no command line.
        yield f"--secret=id={name},env={name.upper()}"
    if plan.cache is not None:
        yield f"--cache-from=type=registry,ref={plan.cache}"
        yield f"--cache-to=type=registry,ref={plan.cache},mode=max,image-manifest=true,oci-mediatypes=true"
    yield from ATTESTATIONS
    yield f"--tag={plan.tag}"
    yield "--push"
    yield f"--metadata-file={METADATA}"
