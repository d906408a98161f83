"""Where it is kept who did what, so that nobody can change it: requests to the cluster's API, and calls of models."""

from typing import Annotated, Literal

from pydantic import Field

from settings.base import Section
from settings.storage import BucketName

AuditDays = Annotated[int, Field(strict=True, ge=1, le=3650)]


class NoAudit(Section):
    """Nothing beyond the log group of the control plane: not in `prod`."""

    kind: Literal["off"]


class ExternalAudit(Section):
    """Whoever runs the cluster keeps the audit log of its API; the program makes nothing."""

    kind: Literal["external"]


class S3Audit(Section):
    """A bucket that the program makes, in which an object can neither be changed nor deleted for `days`.

    mode: `governance` leaves a way out to those with a right of their own, `compliance` to nobody, the account's root
    included.
    """

    kind: Literal["s3"]
    bucket: BucketName
    days: AuditDays = 400
    mode: Literal["governance", "compliance"] = "governance"


Audit = Annotated[NoAudit | ExternalAudit | S3Audit, Field(discriminator="kind")]
