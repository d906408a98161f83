"""Where what lies in the bucket of the audit logs, for those who write there and for the rule that lets nobody else."""

from typing import Final

CLUSTER_PREFIX: Final = "kubernetes"
GATEWAY_PREFIX: Final = "gateway"
