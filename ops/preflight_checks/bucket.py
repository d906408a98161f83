"""The models' bucket: that its name, which all of AWS shares, can be had, or that it is there already."""

from ops.preflight_checks.aws import Aws, DeniedError, RefusedError
from ops.preflight_checks.calls import BUCKET, OWN_BUCKETS
from ops.preflight_checks.finding import Outcome, Probe, Target, missing, ok, unknown
from settings.storage import CreatedBucket, ExistingBucket

_TAKEN = "choose another name in storage.bucket.name: bucket names are unique in all of AWS"


def bucket(aws: Aws, target: Target) -> list[Probe]:
    """Ask for the bucket; a store that is not Amazon's is not asked."""
    wanted = target.settings.storage.bucket
    if isinstance(wanted, CreatedBucket):
        return [
            Probe(
                subject=wanted.name,
                needed="a name that is free, or a bucket of this account",
                look=lambda: _free_or_ours(aws, wanted.name, target.cluster.region),
            )
        ]
    if isinstance(wanted, ExistingBucket):
        return [
            Probe(
                subject=wanted.name,
                needed="a bucket that can be reached",
                look=lambda: _reachable(aws, wanted.name),
            )
        ]
    return []


def _free_or_ours(aws: Aws, name: str, region: str) -> Outcome:
    try:
        head = aws.ask(BUCKET, Bucket=name)
    except DeniedError:
        return _whose(aws, name)
    except RefusedError as error:
        if error.code not in {"404", "NoSuchBucket"}:
            raise
        return ok("the name is free")
    there = head.get("BucketRegion", region)
    if there == region:
        return _whose(aws, name)
    return missing(f"there is such a bucket in {there}, the stack is in {region}", _TAKEN)


def _whose(aws: Aws, name: str) -> Outcome:
    """Whether a bucket that is there is the account's own: a policy can open another's to us, or close ours."""
    own = aws.ask(OWN_BUCKETS, Prefix=name)["Buckets"]
    if any(one["Name"] == name for one in own):
        return ok(
            "this account has it: right after the first `pulumi up`, before that another name is needed"
        )
    return missing("somebody else has a bucket of this name", _TAKEN)


def _reachable(aws: Aws, name: str) -> Outcome:
    try:
        head = aws.ask(BUCKET, Bucket=name)
    except DeniedError as error:
        return unknown(
            f"{error.found}, or the bucket is another account's",
            f"{error.fix}; its policy decides for the models",
        )
    except RefusedError as error:
        if error.code not in {"404", "NoSuchBucket"}:
            raise
        return missing("there is no such bucket", "create it, or write kind created in storage.bucket")
    return ok(f"in {head['BucketRegion']}" if head.get("BucketRegion") else "there")
