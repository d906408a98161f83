"""Cases of rules about AWS, data and cost."""

import json

from policies.rules.model import Config
from tests.policies.cases import Case, Given, obj

BUCKET = "acme-models"
QUEUE: dict[str, Given] = {"queue": ("aws:sqs/queue:Queue", {"name": "queue", "sqsManagedSseEnabled": True})}
CLUSTER: dict[str, Given] = {
    "cluster": (
        "aws:eks/cluster:Cluster",
        {
            "deletionProtection": True,
            "encryptionConfig": {"resources": ["secrets"]},
            "vpcConfig": {"endpointPublicAccess": True, "publicAccessCidrs": ["203.0.113.0/24"]},
        },
    )
}
MACHINE: dict[str, Given] = {
    "template": (
        "aws:ec2/launchTemplate:LaunchTemplate",
        {
            "blockDeviceMappings": [
                {"deviceName": "/dev/xvda", "ebs": {"encrypted": "true", "volumeSize": 100}}
            ],
            "metadataOptions": {"httpTokens": "required", "httpPutResponseHopLimit": 1},
        },
    )
}
CLASS: dict[str, Given] = {
    "class": obj(
        "karpenter.k8s.aws/v1",
        "EC2NodeClass",
        "a10",
        spec={
            "blockDeviceMappings": [{"ebs": {"encrypted": True}}],
            "metadataOptions": {"httpTokens": "required", "httpPutResponseHopLimit": 1},
        },
    )
}
CLOSED: dict[str, Given] = {
    "bucket": ("aws:s3/bucket:Bucket", {"bucket": BUCKET, "forceDestroy": False}),
    "private": (
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        {
            "bucket": BUCKET,
            "blockPublicAcls": True,
            "blockPublicPolicy": True,
            "ignorePublicAcls": True,
            "restrictPublicBuckets": True,
        },
    ),
    "encryption": (
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        {"bucket": BUCKET, "rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "aws:kms"}}]},
    ),
}
TAGS = {"owner": "llm", "cost-center": "4711", "stack": "prod"}
RULE: dict[str, Given] = {
    "rule": (
        "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
        {"cidrIpv4": "10.40.0.0/16", "fromPort": 443},
    )
}
GROUP: dict[str, Given] = {
    "group": ("aws:ec2/securityGroup:SecurityGroup", {"ingress": [{"cidrBlocks": ["10.0.0.0/8"]}]})
}
BALANCER: dict[str, Given] = {
    "balancer": ("aws:lb/loadBalancer:LoadBalancer", {"internal": True, "enableDeletionProtection": True})
}
FILES: dict[str, Given] = {
    "files": ("aws:efs/fileSystem:FileSystem", {"id": "fs-1", "encrypted": True}),
    "copies": (
        "aws:efs/backupPolicy:BackupPolicy",
        {"fileSystemId": "fs-1", "backupPolicy": {"status": "ENABLED"}},
    ),
}
DATABASE: dict[str, Given] = {
    "database": obj(
        "postgresql.cnpg.io/v1",
        "Cluster",
        "rag",
        "rag",
        spec={"plugins": [{"name": "barman-cloud.cloudnative-pg.io", "isWALArchiver": True}]},
    ),
    "schedule": obj(
        "postgresql.cnpg.io/v1", "ScheduledBackup", "rag", "rag", spec={"cluster": {"name": "rag"}}
    ),
}
RDS: dict[str, Given] = {
    "rds": (
        "aws:rds/instance:Instance",
        {
            "backupRetentionPeriod": 14,
            "deletionProtection": True,
            "storageEncrypted": True,
            "publiclyAccessible": False,
        },
    )
}
NODES: dict[str, Given] = {
    "pool": obj(
        "karpenter.sh/v1",
        "NodePool",
        "a10",
        spec={
            "limits": {"nodes": "21"},
            "template": {"metadata": {"labels": {"vllm-platform.io/pool": "a10"}}},
        },
    )
}
POOLS = Config(pools=frozenset({"a10"}))


def of_buckets(keeps: dict[str, Given]) -> tuple[Case, ...]:
    """Return what is asked of a bucket, whatever type says that it is one."""
    return (
        Case(
            rule="buckets-are-closed",
            keeps=keeps,
            at=("private", "bucket"),
            wrong=("other",),
            absent=True,
            says="is not closed to the public",
        ),
        Case(
            rule="buckets-are-closed",
            keeps=keeps,
            at=("encryption", "bucket"),
            wrong=("other",),
            absent=True,
            says="has no encryption of its own",
        ),
        Case(
            rule="deletion-is-no-accident",
            keeps=keeps,
            at=("bucket", "forceDestroy"),
            wrong=(True,),
            says="has forceDestroy on",
        ),
    )


CASES = (
    Case(
        rule="what-is-kept-is-encrypted",
        keeps=QUEUE,
        at=("queue", "sqsManagedSseEnabled"),
        wrong=(False,),
        absent=True,
        says="Queue queue is not encrypted",
    ),
    Case(
        rule="what-is-kept-is-encrypted",
        keeps=MACHINE,
        at=("template", "blockDeviceMappings", 0, "ebs", "encrypted"),
        wrong=("false", False),
        absent=True,
        says="LaunchTemplate template",
    ),
    Case(
        rule="what-is-kept-is-encrypted",
        keeps=CLASS,
        at=("class", "spec", "blockDeviceMappings", 0, "ebs", "encrypted"),
        wrong=(False,),
        absent=True,
        says="EC2NodeClass a10",
    ),
    Case(
        rule="what-is-kept-is-encrypted",
        keeps=CLUSTER,
        at=("cluster", "encryptionConfig"),
        wrong=({}, {"resources": []}),
        absent=True,
        says="Cluster cluster",
    ),
    Case(
        rule="what-is-kept-is-encrypted",
        keeps=FILES,
        at=("files", "encrypted"),
        wrong=(False,),
        absent=True,
        says="FileSystem files",
    ),
    Case(
        rule="what-is-kept-is-encrypted",
        keeps={
            "disks": obj(
                "storage.k8s.io/v1",
                "StorageClass",
                "gp3",
                provisioner="ebs.csi.aws.com",
                parameters={"encrypted": "true"},
            )
        },
        at=("disks", "parameters", "encrypted"),
        wrong=("false",),
        absent=True,
        says="StorageClass gp3",
    ),
    *of_buckets(CLOSED),
    Case(
        rule="nothing-is-public",
        keeps=CLOSED,
        at=("private", "blockPublicPolicy"),
        wrong=(False,),
        absent=True,
        says="leaves blockPublicPolicy off",
    ),
    Case(
        rule="nothing-is-public",
        keeps=RULE,
        at=("rule", "cidrIpv4"),
        wrong=("0.0.0.0/0",),
        says="lets 0.0.0.0/0 in",
    ),
    Case(
        rule="nothing-is-public",
        keeps=GROUP,
        at=("group", "ingress", 0, "cidrBlocks"),
        wrong=(["0.0.0.0/0"], ["10.0.0.0/8", "0.0.0.0/0"]),
        says="lets the whole internet in",
    ),
    Case(
        rule="nothing-is-public",
        keeps=BALANCER,
        at=("balancer", "internal"),
        wrong=(False,),
        absent=True,
        says="is reached from the internet",
    ),
    Case(
        rule="nothing-is-public",
        keeps=CLUSTER,
        at=("cluster", "vpcConfig", "publicAccessCidrs"),
        wrong=(["0.0.0.0/0"], []),
        absent=True,
        says="the whole internet reaches",
    ),
    Case(
        rule="nothing-is-public",
        keeps=RDS,
        at=("rds", "publiclyAccessible"),
        wrong=(True,),
        says="is reached from the internet",
    ),
    Case(
        rule="machines-hide-their-credentials",
        keeps=MACHINE,
        at=("template", "metadataOptions"),
        wrong=({}, {"httpTokens": "optional"}),
        absent=True,
        says="without a token",
    ),
    Case(
        rule="machines-hide-their-credentials",
        keeps=CLASS,
        at=("class", "spec", "metadataOptions", "httpPutResponseHopLimit"),
        wrong=(2, "3"),
        says="hops away",
    ),
    Case(
        rule="resources-have-an-owner",
        keeps={"aws": ("pulumi:providers:aws", {"defaultTags": json.dumps({"tags": TAGS})})},
        at=("aws", "defaultTags"),
        wrong=("{}", json.dumps({"tags": {**TAGS, "owner": ""}}), "no JSON"),
        absent=True,
        says="gives no tag",
    ),
    Case(
        rule="databases-are-backed-up",
        keeps=DATABASE,
        at=("database", "spec", "plugins"),
        wrong=([], [{"name": "other"}]),
        absent=True,
        says="on its own disks alone",
    ),
    Case(
        rule="databases-are-backed-up",
        keeps=DATABASE,
        at=("schedule", "spec", "cluster", "name"),
        wrong=("other",),
        absent=True,
        says="is never copied",
    ),
    Case(
        rule="shared-files-are-backed-up",
        keeps=FILES,
        at=("copies", "backupPolicy", "status"),
        wrong=("DISABLED",),
        absent=True,
        says="has no copies",
    ),
    Case(
        rule="databases-keep-copies",
        keeps=RDS,
        at=("rds", "backupRetentionPeriod"),
        wrong=(0, 6),
        absent=True,
        says="keeps copies for",
    ),
    Case(
        rule="deletion-is-no-accident",
        keeps=CLUSTER,
        at=("cluster", "deletionProtection"),
        wrong=(False,),
        absent=True,
        says="has deletionProtection off",
    ),
    Case(
        rule="volumes-outlive-their-claims",
        keeps={
            "volume": obj(
                "v1", "PersistentVolume", "models", spec={"persistentVolumeReclaimPolicy": "Retain"}
            )
        },
        at=("volume", "spec", "persistentVolumeReclaimPolicy"),
        wrong=("Delete",),
        says="deleted with its claim",
    ),
    Case(
        rule="machines-are-in-the-budget",
        keeps=NODES,
        at=("pool", "spec", "template", "metadata", "labels", "vllm-platform.io/pool"),
        wrong=("h100",),
        absent=True,
        says="which the settings do not have",
        config=POOLS,
    ),
    Case(
        rule="pools-have-an-end",
        keeps=NODES,
        at=("pool", "spec", "limits"),
        wrong=({},),
        absent=True,
        says="may grow without end",
    ),
)
