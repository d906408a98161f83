"""The audit stream: there in prod, and made only where the program makes the cluster."""

from settings.audit import NoAudit, S3Audit
from settings.cluster import EksCluster, RehearsalCluster
from settings.draft import Draft
from settings.problems import Problem


def check(draft: Draft) -> list[Problem]:
    """Return the problems of the section `audit`."""
    if draft.audit is None or draft.cluster is None:
        return []
    on_eks = isinstance(draft.cluster, EksCluster)
    if isinstance(draft.audit, S3Audit) and not on_eks:
        reason = "the audit log of a cluster that somebody else made is not the program's to collect"
        fix = "write `audit: {kind: external}` and have it kept there"
        return [Problem("audit.kind", "s3", reason, fix)]
    rehearsed = isinstance(draft.cluster, RehearsalCluster)
    if isinstance(draft.audit, NoAudit) and draft.environment == "prod" and not rehearsed:
        reason = "in prod nobody could say afterwards who did what: whoever may change the cluster may delete its logs"
        fix = (
            "write `audit: {kind: s3, bucket: ..., days: 400, mode: compliance}`"
            if on_eks
            else ("write `audit: {kind: external}` where whoever runs the cluster keeps its audit log")
        )
        return [Problem("audit.kind", "off", reason, fix)]
    return []
