"""What the settings of `cost` mean: a part of `meanings`."""

from typing import Final

COST_MEANINGS: Final[dict[str, str]] = {
    "Settings.cost": "What the stack may cost, and what makes its estimate a better one (`docs/cost.md`).",
    "Costs.budget": "A stack that costs more is refused, before anything is deployed; none when left out.",
    "Costs.pools": "What a pool's nodes cost where that is not the list price, and how many are expected.",
    "Costs.models": "How many replicas are expected, and how much one gets done.",
    "Costs.usage": "What is billed by use, in a month. Nothing is counted of what is not stated.",
    "Costs.volumes": "Volumes (gp3) that others than this program make on the cluster.",
    "Budget.monthly": "A month's, in the currency of the price list.",
    "Budget.of": "The sum that it is compared with.",
    "PoolCost.name": "Name of the pool.",
    "PoolCost.hourly": "An hour of a node: by a contract, a savings plan, or as Spot. The list price on demand when left out.",
    "PoolCost.nodes": "Expected on average over a month. What the expected replicas need when left out.",
    "ModelCost.name": "Name of the model.",
    "ModelCost.replicas": "Expected on average over a month; its fewest when left out.",
    "ModelCost.throughput": "What one replica gets done: with it, a million tokens have a price.",
    "Throughput.tokens_per_second": "Of a replica that always has enough to do, prompts and answers together.",
    "Throughput.kind": "Whether it was seen, or is planned with.",
    "Throughput.source": "Where the figure is from.",
    "Usage.requests": "Millions, of CloudFront and the firewall.",
    "Usage.answers_gib": "From CloudFront to its readers, GiB.",
    "Usage.nat_gib": "Through the NAT gateways, in and out, GiB.",
    "Usage.balancer_units": "Capacity units (LCU) of the load balancer, on average.",
    "Usage.logs_gib": "Into CloudWatch, GiB.",
    "Usage.shared_gib": "On the shared directory (EFS), GiB.",
    "Usage.bucket_gib": "In buckets (S3), GiB.",
    "OwnVolumes.name": "What they are called here.",
    "OwnVolumes.count": "How many.",
    "OwnVolumes.size": "Of each.",
}
