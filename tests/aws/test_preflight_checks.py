"""What the server on loopback knows, asked through real HTTP: caller, zones, offerings, domain, bucket, state, key."""

import json
from collections.abc import Callable, Iterable
from typing import Any

import boto3  # pyright: ignore[reportMissingTypeStubs]
import pytest

from ops.preflight import answer
from ops.preflight_checks.account import account, caller
from ops.preflight_checks.aws import Aws, DeniedError
from ops.preflight_checks.bucket import bucket
from ops.preflight_checks.calls import BUCKET, OWN_BUCKETS, Call
from ops.preflight_checks.domain import domain
from ops.preflight_checks.finding import Finding, Probe, Target
from ops.preflight_checks.state import state
from ops.preflight_checks.zones import offerings, zones
from rehearsal.errors import UserError
from settings import Settings
from settings.storage import ExistingBucket, NoBucket
from tests.unit.preflight_stubs import only_pools, prod, target_of, with_cluster, with_pool

pytestmark = pytest.mark.unit

REGION = "us-east-1"
DEPLOYER = "arn:aws:iam::123456789012:role/llm-platform-deployer"
STATE_BUCKET, STATE_KEY = "acme-llm-pulumi-state", "alias/llm-pulumi-prod"
Client = Callable[[str], Any]
Check = Callable[[Aws, Target], Iterable[Probe]]


def findings_of(check: Check, settings: Settings, aws: Aws | None = None) -> dict[str, Finding]:
    """Ask the questions of one check, by default over HTTP with boto3's own clients."""
    probes = check(aws or Aws(REGION), target_of(settings))
    return {probe.subject: answer("check", probe) for probe in probes}


def become(role: str, path: str, aws_client: Client, monkeypatch: pytest.MonkeyPatch) -> str:
    """Go on as a session of a role; returns the role's ARN."""
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    arn = aws_client("iam").create_role(RoleName=role, Path=path, AssumeRolePolicyDocument=trust)["Role"][
        "Arn"
    ]
    keys = aws_client("sts").assume_role(RoleArn=arn, RoleSessionName="somebody")["Credentials"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", keys["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", keys["SecretAccessKey"])
    monkeypatch.setenv("AWS_SESSION_TOKEN", keys["SessionToken"])
    return arn


class Denying(Aws):
    """AWS, but for questions that the caller may not ask."""

    def __init__(self, *denied: Call) -> None:
        super().__init__(REGION)
        self._denied = denied

    def ask(self, call: Call, *, region: str | None = None, **parameters: object) -> dict[str, Any]:
        if call in self._denied:
            raise DeniedError(f"not allowed to ask: {call.action}", f"allow {call.action} to the caller")
        return super().ask(call, region=region, **parameters)


@pytest.mark.usefixtures("aws_endpoint")
class TestAccount:
    def test_the_stack_s_account_is_ok(self) -> None:
        assert findings_of(account, prod())["account"].status == "ok"

    def test_another_account_is_missing(self) -> None:
        (found,) = findings_of(account, with_cluster(prod(), account="999999999999")).values()
        assert (found.status, found.found, found.needed) == ("missing", "123456789012", "999999999999")

    def test_a_session_of_an_admin_s_role_is_ok(
        self, aws_client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert become("llm-platform-deployer", "/", aws_client, monkeypatch) == DEPLOYER
        (found,) = findings_of(caller, prod()).values()
        assert (found.status, found.found) == (
            "ok",
            "arn:aws:sts::123456789012:assumed-role/llm-platform-deployer/somebody",
        )

    def test_a_role_with_a_path_is_known_by_its_name_and_that_is_said(
        self, aws_client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        arn = become("deployer", "/team/llm/", aws_client, monkeypatch)
        access = target_of(prod()).cluster.access.model_copy(update={"admins": (arn,)})
        (found,) = findings_of(caller, with_cluster(prod(), access=access)).values()
        assert found.status == "ok"
        assert "compared by name" in found.found

    def test_a_session_of_another_role_is_missing(
        self, aws_client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        become("somebody-else", "/", aws_client, monkeypatch)
        (found,) = findings_of(caller, prod()).values()
        assert found.status == "missing"
        assert found.fix
        assert found.fix.startswith(f"assume {DEPLOYER}")

    def test_a_user_who_is_an_admin_is_ok(self, aws_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        arn = aws_client("iam").create_user(UserName="ann", Path="/people/")["User"]["Arn"]
        keys = aws_client("iam").create_access_key(UserName="ann")["AccessKey"]
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", keys["AccessKeyId"])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", keys["SecretAccessKey"])
        access = target_of(prod()).cluster.access.model_copy(update={"admins": (arn,)})
        (found,) = findings_of(caller, with_cluster(prod(), access=access)).values()
        assert (found.status, found.found) == ("ok", arn)


@pytest.mark.usefixtures("aws_endpoint")
class TestZones:
    def test_zones_that_are_there_are_ok(self) -> None:
        found = findings_of(zones, prod())
        assert {one.status for one in found.values()} == {"ok"}
        assert list(found) == ["us-east-1a", "us-east-1b"]

    def test_a_zone_that_the_account_has_not_is_missing(self) -> None:
        found = findings_of(zones, with_cluster(prod(), zones=("us-east-1a", "us-east-1z")))["us-east-1z"]
        assert (found.status, found.found) == ("missing", "the account has no such zone")

    def test_a_zone_without_eks_is_missing_under_whatever_name_the_account_has_it(
        self, aws_client: Client
    ) -> None:
        there = aws_client("ec2").describe_availability_zones()["AvailabilityZones"]
        (name,) = (zone["ZoneName"] for zone in there if zone["ZoneId"] == "use1-az3")
        found = findings_of(zones, with_cluster(prod(), zones=("us-east-1a", name)))[name]
        assert (found.status, found.found) == ("missing", "use1-az3: EKS does not run there")
        assert name not in (found.fix or "")

    def test_a_type_that_is_offered_in_all_of_the_pool_s_zones_is_ok(self) -> None:
        assert {one.status for one in findings_of(offerings, prod()).values()} == {"ok"}

    def test_a_type_that_is_not_offered_in_one_of_them_is_missing(self) -> None:
        wide = with_pool(prod(), "a100", zones=("us-east-1a", "us-east-1e"))
        found = findings_of(offerings, wide)
        assert {name for name, one in found.items() if one.status == "missing"} == {"pool a100"}
        assert found["pool a100"].found == "not offered in us-east-1e"
        assert "is offered in us-east-1a" in (found["pool a100"].fix or "")

    def test_a_type_that_the_region_does_not_have_is_missing(self) -> None:
        settings = only_pools(with_pool(prod(), "a10", instance_type="g99.large"), "a10")
        (found,) = findings_of(offerings, settings).values()
        assert "no zone of us-east-1" in (found.fix or "")


class TestDomain:
    def with_zone(self, aws_client: Client, name: str, *, private: bool = False) -> Settings:
        vpc = {"VPC": {"VPCRegion": REGION, "VPCId": "vpc-12345678"}} if private else {}
        made = aws_client("route53").create_hosted_zone(
            Name=name, CallerReference=name, HostedZoneConfig={"Comment": "", "PrivateZone": private}, **vpc
        )
        settings = prod()
        zone = made["HostedZone"]["Id"].rpartition("/")[2]
        return settings.model_copy(update={"edge": settings.edge.model_copy(update={"hosted_zone": zone})})

    @pytest.mark.parametrize("name", ["example.com", "llm.example.com"])
    def test_a_zone_that_holds_the_domain_is_ok(self, name: str, aws_client: Client) -> None:
        (found,) = findings_of(domain, self.with_zone(aws_client, name)).values()
        assert (found.status, found.found) == ("ok", name)

    @pytest.mark.parametrize("name", ["example.org", "m.example.com", "ample.com"])
    def test_a_zone_that_does_not_hold_the_domain_is_missing(self, name: str, aws_client: Client) -> None:
        (found,) = findings_of(domain, self.with_zone(aws_client, name)).values()
        assert (found.status, found.found) == ("missing", f"{name}, which does not hold llm.example.com")

    def test_a_private_zone_is_missing(self, aws_client: Client) -> None:
        (found,) = findings_of(domain, self.with_zone(aws_client, "example.com", private=True)).values()
        assert found.status == "missing"
        assert "a private zone" in found.found

    @pytest.mark.usefixtures("aws_endpoint")
    def test_a_zone_that_is_not_there_is_missing(self) -> None:
        (found,) = findings_of(domain, prod()).values()
        assert (found.status, found.found) == ("missing", "the account has no such hosted zone")


class TestBucket:
    NAME = "acme-llm-prod-models"

    def existing(self) -> Settings:
        settings = prod()
        there = ExistingBucket(kind="existing", name=self.NAME)
        return settings.model_copy(update={"storage": settings.storage.model_copy(update={"bucket": there})})

    @pytest.mark.usefixtures("aws_endpoint")
    def test_a_free_name_is_ok(self) -> None:
        (found,) = findings_of(bucket, prod()).values()
        assert (found.status, found.found) == ("ok", "the name is free")

    def test_a_bucket_of_the_account_is_ok(self, aws_client: Client) -> None:
        aws_client("s3").create_bucket(Bucket=self.NAME)
        (found,) = findings_of(bucket, prod()).values()
        assert found.status == "ok"
        assert "this account has it" in found.found

    def test_a_bucket_of_the_account_elsewhere_is_missing(self, aws_endpoint: str) -> None:
        session: Any = boto3.Session(region_name="eu-west-1")
        client = session.client("s3", endpoint_url=aws_endpoint)
        client.create_bucket(Bucket=self.NAME, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        (found,) = findings_of(bucket, prod()).values()
        assert (found.status, found.found) == (
            "missing",
            "there is such a bucket in eu-west-1, the stack is in us-east-1",
        )

    @pytest.mark.usefixtures("aws_endpoint")
    def test_a_bucket_that_is_closed_and_not_among_ours_is_somebody_s(self) -> None:
        (found,) = findings_of(bucket, prod(), Denying(BUCKET)).values()
        assert (found.status, found.found) == ("missing", "somebody else has a bucket of this name")

    @pytest.mark.usefixtures("aws_endpoint")
    def test_a_closed_bucket_is_unknown_where_ours_may_not_be_listed(self) -> None:
        (found,) = findings_of(bucket, prod(), Denying(BUCKET, OWN_BUCKETS)).values()
        assert (found.status, found.fix) == ("unknown", "allow s3:ListAllMyBuckets to the caller")

    def test_an_existing_bucket_that_is_there_is_ok(self, aws_client: Client) -> None:
        aws_client("s3").create_bucket(Bucket=self.NAME)
        (found,) = findings_of(bucket, self.existing()).values()
        assert found.status == "ok"

    @pytest.mark.usefixtures("aws_endpoint")
    def test_an_existing_bucket_that_is_not_there_is_missing(self) -> None:
        (found,) = findings_of(bucket, self.existing()).values()
        assert (found.status, found.found) == ("missing", "there is no such bucket")

    @pytest.mark.usefixtures("aws_endpoint")
    def test_an_existing_bucket_that_is_closed_is_unknown(self) -> None:
        (found,) = findings_of(bucket, self.existing(), Denying(BUCKET)).values()
        assert found.status == "unknown"
        assert "allow s3:ListBucket to the caller" in (found.fix or "")

    @pytest.mark.usefixtures("aws_endpoint")
    def test_without_a_bucket_nothing_is_asked(self) -> None:
        settings = prod()
        storage = settings.storage.model_copy(update={"bucket": NoBucket(kind="off")})
        assert findings_of(bucket, settings.model_copy(update={"storage": storage})) == {}


class TestState:
    """The good case is that of the recipe: tests/aws/test_state_recipe.py."""

    @pytest.mark.usefixtures("aws_endpoint")
    def test_without_bucket_and_key_everything_is_missing(self) -> None:
        found = findings_of(state, prod())
        assert {name: one.status for name, one in found.items()} == dict.fromkeys(
            [
                f"bucket {STATE_BUCKET}",
                f"bucket {STATE_BUCKET}, versioning",
                f"bucket {STATE_BUCKET}, encryption",
                f"bucket {STATE_BUCKET}, public access",
                f"key {STATE_KEY}",
            ],
            "missing",
        )

    def test_a_bucket_with_nothing_set_lacks_all_but_itself(self, aws_client: Client) -> None:
        aws_client("s3").create_bucket(Bucket=STATE_BUCKET)
        there, *settings = list(findings_of(state, prod()).values())[:4]
        assert there.status == "ok"
        assert {one.status for one in settings} == {"missing"}

    def test_versioning_that_was_suspended_is_missing(self, aws_client: Client) -> None:
        client = aws_client("s3")
        client.create_bucket(Bucket=STATE_BUCKET)
        client.put_bucket_versioning(Bucket=STATE_BUCKET, VersioningConfiguration={"Status": "Suspended"})
        found = findings_of(state, prod())[f"bucket {STATE_BUCKET}, versioning"]
        assert (found.status, found.found) == ("missing", "suspended")

    def test_a_half_open_bucket_is_missing(self, aws_client: Client) -> None:
        client = aws_client("s3")
        client.create_bucket(Bucket=STATE_BUCKET)
        client.put_public_access_block(
            Bucket=STATE_BUCKET,
            PublicAccessBlockConfiguration={"BlockPublicAcls": True, "BlockPublicPolicy": True},
        )
        found = findings_of(state, prod())[f"bucket {STATE_BUCKET}, public access"]
        assert found.found == "without IgnorePublicAcls, RestrictPublicBuckets"

    def test_a_key_that_is_switched_off_is_missing(self, aws_client: Client) -> None:
        kms = aws_client("kms")
        key = kms.create_key()["KeyMetadata"]["KeyId"]
        kms.create_alias(AliasName=STATE_KEY, TargetKeyId=key)
        assert findings_of(state, prod())[f"key {STATE_KEY}"].status == "ok"
        kms.disable_key(KeyId=key)
        found = findings_of(state, prod())[f"key {STATE_KEY}"]
        assert (found.status, found.found) == ("missing", "Disabled, for ENCRYPT_DECRYPT")

    @pytest.mark.parametrize("form", ["awskms:///{Arn}", "awskms://{KeyId}?region=us-east-1"])
    def test_a_key_may_be_named_by_arn_or_id(self, form: str, aws_client: Client) -> None:
        key = aws_client("kms").create_key()["KeyMetadata"]
        settings = prod()
        assert settings.state
        where = settings.state.model_copy(update={"secrets_provider": form.format(**key)})
        *_, found = findings_of(state, settings.model_copy(update={"state": where})).values()
        assert (found.status, found.found) == ("ok", key["Arn"])

    def test_a_key_is_looked_for_in_the_region_that_its_url_names(self, aws_client: Client) -> None:
        key = aws_client("kms").create_key()["KeyMetadata"]["KeyId"]
        aws_client("kms").create_alias(AliasName=STATE_KEY, TargetKeyId=key)
        settings = prod()
        assert settings.state
        url = f"awskms://{STATE_KEY}?region=eu-west-1"
        where = settings.state.model_copy(update={"secrets_provider": url})
        *_, found = findings_of(state, settings.model_copy(update={"state": where})).values()
        assert (found.status, found.found) == ("missing", "there is no such key in eu-west-1")

    @pytest.mark.usefixtures("aws_endpoint")
    def test_stores_and_keys_of_others_are_not_asked(self) -> None:
        settings = prod()
        assert settings.state
        other = settings.state.model_copy(
            update={"backend": "s3://state?endpoint=minio.internal", "secrets_provider": "gcpkms://k"}
        )
        (found,) = findings_of(state, settings.model_copy(update={"state": other})).values()
        assert found.status == "unknown"
        cloud = other.model_copy(update={"backend": "https://api.pulumi.com"})
        assert findings_of(state, settings.model_copy(update={"state": cloud})) == {}


class TestNoAnswer:
    def test_a_server_that_is_not_there_is_said_in_words(
        self, aws_endpoint: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from ops.preflight import reach  # noqa: PLC0415 - of this test alone

        monkeypatch.setenv("AWS_ENDPOINT_URL", aws_endpoint.rpartition(":")[0] + ":1")
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        with pytest.raises(UserError, match="AWS can not be asked: no answer to sts:GetCallerIdentity"):
            reach(Aws(REGION))
