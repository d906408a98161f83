"""A Pulumi program that installs Karpenter's charts as the stacks on AWS do, without AWS: its controller finds nothing to do."""

import pulumi
from pulumi_kubernetes import Provider

from components.addons.pattern import Addon, AddonArgs
from components.aws.karpenter import KarpenterDefinitions, KarpenterDefinitionsArgs, controller_values
from components.charts import KARPENTER
from settings.charts import LocalCharts


class Controller(Addon):
    """Karpenter without the role, the queue and the access entry that AWS would make."""

    def __init__(self, name: str, args: AddonArgs, opts: pulumi.ResourceOptions) -> None:
        super().__init__("vllm-platform:test:Controller", name, {}, opts)
        values = controller_values(cluster_name="bare", queue="bare", region="us-east-1", replicas=2)
        self._install(name, args, KARPENTER, values, skip_crds=True)


config = pulumi.Config()
charts = LocalCharts(kind="folder", path=config.require("charts"))
provider = Provider("kubernetes", kubeconfig=config.require("kubeconfig"), enable_server_side_apply=True)
options = pulumi.ResourceOptions(providers=[provider])
definitions = KarpenterDefinitions(
    "karpenter-definitions", KarpenterDefinitionsArgs(charts=charts, namespace="kube-system"), options
)
Controller("karpenter", AddonArgs(charts=charts, namespace="kube-system", after=[definitions]), options)
