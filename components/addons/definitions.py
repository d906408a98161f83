"""Definitions of kinds as objects of this program: what is done to them on their way from chart to cluster.

For charts that can not be a Helm release: what Helm stores of `gateway-crds-helm` v1.9.1, 1.8 MB, does not fit into the
1 MiB of a Secret. Rendered by the provider, each definition becomes an object of the program and of its state.
"""

from collections.abc import Mapping
from typing import Any, Final, cast

import pulumi

DEFINITION: Final = "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition"
FORCE: Final = "pulumi.com/patchForce"
# What these hold is data, not a schema.
VALUES: Final = frozenset({"annotations", "default", "enum", "example"})


def kept_and_light(args: pulumi.ResourceTransformArgs) -> pulumi.ResourceTransformResult:
    """Change one object of the chart, as Pulumi's `transforms` asks for it.

    A definition stays when the add-on goes (with it all objects of its kind would go), and comes without its
    descriptions: three quarters of its size, three times in the state, and only `kubectl explain` shows them. What else
    is in such a chart goes with it, and takes over what a killed run left: fields that the API server filled in by
    itself would count as somebody else's.
    """
    props = cast("Mapping[str, Any]", args.props)
    if args.type_ == DEFINITION:
        kept = pulumi.ResourceOptions.merge(args.opts, pulumi.ResourceOptions(retain_on_delete=True))
        return pulumi.ResourceTransformResult(props=without_descriptions(props), opts=kept)
    if not args.custom or "metadata" not in props:
        return pulumi.ResourceTransformResult(props=args.props, opts=args.opts)
    metadata = dict(props["metadata"])
    metadata["annotations"] = {**(metadata.get("annotations") or {}), FORCE: "true"}
    return pulumi.ResourceTransformResult(props={**props, "metadata": metadata}, opts=args.opts)


def without_descriptions(value: Any) -> Any:  # noqa: ANN401 - a JSON value
    """Return a definition without the texts that explain its fields. A field that is itself called `description` stays."""
    if isinstance(value, Mapping):
        items = cast("Mapping[str, Any]", value).items()
        return {
            key: item if key in VALUES else without_descriptions(item)
            for key, item in items
            if not (key == "description" and isinstance(item, str))
        }
    if isinstance(value, list):
        return [without_descriptions(item) for item in cast("list[Any]", value)]
    return value
