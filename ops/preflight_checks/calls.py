"""Every question that `vp preflight` puts to AWS, with the IAM action that allows it. All of them only read."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Call:
    """One operation of a service, as boto3 and as IAM name it. paged: the key of the answers' list, where they come in pages."""

    service: str
    operation: str
    action: str
    paged: str | None = None


WHO_AM_I: Final = Call(service="sts", operation="get_caller_identity", action="sts:GetCallerIdentity")
ZONES: Final = Call(
    service="ec2", operation="describe_availability_zones", action="ec2:DescribeAvailabilityZones"
)
OFFERINGS: Final = Call(
    service="ec2",
    operation="describe_instance_type_offerings",
    action="ec2:DescribeInstanceTypeOfferings",
    paged="InstanceTypeOfferings",
)
RESERVATIONS: Final = Call(
    service="ec2", operation="describe_capacity_reservations", action="ec2:DescribeCapacityReservations"
)
QUOTA: Final = Call(
    service="service-quotas", operation="get_service_quota", action="servicequotas:GetServiceQuota"
)
DEFAULT_QUOTA: Final = Call(
    service="service-quotas",
    operation="get_aws_default_service_quota",
    action="servicequotas:GetAWSDefaultServiceQuota",
)
PARAMETERS: Final = Call(service="ssm", operation="get_parameters", action="ssm:GetParameters")
CLUSTER_VERSIONS: Final = Call(
    service="eks", operation="describe_cluster_versions", action="eks:DescribeClusterVersions"
)
ADDON_VERSIONS: Final = Call(
    service="eks", operation="describe_addon_versions", action="eks:DescribeAddonVersions", paged="addons"
)
ADDON_CONFIGURATION: Final = Call(
    service="eks", operation="describe_addon_configuration", action="eks:DescribeAddonConfiguration"
)
HOSTED_ZONE: Final = Call(service="route53", operation="get_hosted_zone", action="route53:GetHostedZone")
BUCKET: Final = Call(service="s3", operation="head_bucket", action="s3:ListBucket")
OWN_BUCKETS: Final = Call(service="s3", operation="list_buckets", action="s3:ListAllMyBuckets")
BUCKET_VERSIONING: Final = Call(
    service="s3", operation="get_bucket_versioning", action="s3:GetBucketVersioning"
)
BUCKET_ENCRYPTION: Final = Call(
    service="s3", operation="get_bucket_encryption", action="s3:GetEncryptionConfiguration"
)
BUCKET_PUBLIC_ACCESS: Final = Call(
    service="s3", operation="get_public_access_block", action="s3:GetBucketPublicAccessBlock"
)
KEY: Final = Call(service="kms", operation="describe_key", action="kms:DescribeKey")

CALLS: Final = (
    WHO_AM_I,
    ZONES,
    OFFERINGS,
    RESERVATIONS,
    QUOTA,
    DEFAULT_QUOTA,
    PARAMETERS,
    CLUSTER_VERSIONS,
    ADDON_VERSIONS,
    ADDON_CONFIGURATION,
    HOSTED_ZONE,
    BUCKET,
    OWN_BUCKETS,
    BUCKET_VERSIONING,
    BUCKET_ENCRYPTION,
    BUCKET_PUBLIC_ACCESS,
    KEY,
)
