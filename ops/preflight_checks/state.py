"""Pulumi's state: that its bucket is there, encrypted, versioned and closed, and that its key can be used."""

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from ops.preflight_checks.aws import Aws, RefusedError
from ops.preflight_checks.calls import (
    BUCKET,
    BUCKET_ENCRYPTION,
    BUCKET_PUBLIC_ACCESS,
    BUCKET_VERSIONING,
    KEY,
    Call,
)
from ops.preflight_checks.finding import Outcome, Probe, Target, missing, ok, unknown

# AWS's words for a bucket that is not there, or on which nothing is set.
_NOTHING_SET: Final = frozenset(
    (
        "404",
        "NoSuchBucket",
        "NoSuchPublicAccessBlockConfiguration",
        "ServerSideEncryptionConfigurationNotFoundError",
    )
)
_PUBLIC_ACCESS: Final = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
_ENCRYPTION: Final = "ENCRYPT_DECRYPT"
_RECIPE: Final = "docs/state.md shows the commands"


def state(aws: Aws, target: Target) -> list[Probe]:
    """Ask for bucket and key; nothing for a backend or a key that is not Amazon's."""
    where = target.settings.state
    if where is None:
        return []
    probes: list[Probe] = []
    if where.backend_kind == "s3":
        probes += _bucket_probes(aws, target, where.backend)
    if where.secrets_kind == "awskms":
        probes.append(_key_probe(aws, target, where.secrets_provider))
    return probes


@dataclass(frozen=True, kw_only=True)
class _Bucket:
    """The bucket of a backend, and what it answers."""

    aws: Aws
    name: str
    region: str

    def said(self, call: Call) -> dict[str, Any] | None:
        """Return an answer, None where there is no bucket or nothing is set on it."""
        try:
            return self.aws.ask(call, region=self.region, Bucket=self.name)
        except RefusedError as error:
            if error.code not in _NOTHING_SET:
                raise
            return None

    def exists(self) -> Outcome:
        if self.said(BUCKET) is None:
            return missing("there is no such bucket", f"create it: {_RECIPE}")
        return ok(f"in {self.region}")

    def versioned(self) -> Outcome:
        status = (self.said(BUCKET_VERSIONING) or {}).get("Status", "never switched on")
        return ok("on") if status == "Enabled" else missing(str(status).lower(), f"switch it on: {_RECIPE}")

    def encrypted(self) -> Outcome:
        answer = self.said(BUCKET_ENCRYPTION)
        if answer is None:
            return missing("not set", f"set it: {_RECIPE}")
        (rule, *_) = answer["ServerSideEncryptionConfiguration"]["Rules"]
        return ok(str(rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"]))

    def closed(self) -> Outcome:
        blocked = (self.said(BUCKET_PUBLIC_ACCESS) or {}).get("PublicAccessBlockConfiguration", {})
        openings = [key for key in _PUBLIC_ACCESS if not blocked.get(key)]
        return (
            missing(f"without {', '.join(openings)}", f"block it: {_RECIPE}") if openings else ok("blocked")
        )


def _bucket_probes(aws: Aws, target: Target, backend: str) -> list[Probe]:
    parts = urlsplit(backend)
    query = parse_qs(parts.query)
    subject = f"bucket {parts.netloc}"
    if "endpoint" in query:
        elsewhere = unknown("another store than Amazon's: it was not asked", "look there by hand")
        return [Probe(subject=subject, needed="there, versioned, encrypted", look=lambda: elsewhere)]
    region = query.get("region", [target.cluster.region])[-1]
    bucket = _Bucket(aws=aws, name=parts.netloc, region=region)
    asked = (
        (subject, "it exists", bucket.exists),
        (f"{subject}, versioning", "on", bucket.versioned),
        (f"{subject}, encryption", "on", bucket.encrypted),
        (f"{subject}, public access", "blocked", bucket.closed),
    )
    return [Probe(subject=about, needed=needed, look=look) for about, needed, look in asked]


def _key_probe(aws: Aws, target: Target, provider: str) -> Probe:
    parts = urlsplit(provider)
    # `awskms://alias/NAME`, `awskms://ID`, `awskms:///arn:...`: KMS takes each of them as a key's id.
    key = (parts.netloc + parts.path).strip("/")
    arn_region = key.split(":")[3:4] if key.startswith("arn:") else []
    region = [*parse_qs(parts.query).get("region", []), *arn_region, target.cluster.region][0]

    def look() -> Outcome:
        try:
            found = aws.ask(KEY, region=region, KeyId=key)["KeyMetadata"]
        except RefusedError as error:
            if error.code not in {"NotFoundException", "InvalidArnException"}:
                raise
            return missing(f"there is no such key in {region}", f"create key and alias: {_RECIPE}")
        condition, usage = found.get("KeyState"), found.get("KeyUsage", _ENCRYPTION)
        if (condition, usage) != ("Enabled", _ENCRYPTION):
            return missing(
                f"{condition}, for {usage}",
                "enable it, or name another key in state.secrets_provider",
            )
        return ok(str(found["Arn"]))

    return Probe(subject=f"key {key}", needed="enabled, for encryption", look=look)
