"""A stack that no committed file has: on a cluster of somebody else, with a pod of every kind that the program makes."""

from copy import deepcopy
from pathlib import Path
from typing import Final

from tests.made_stacks import made_stack, sections_of

NAME: Final = "theirs"
EXISTING: Final = ("istio", "gateway_api", "envoy_gateway", "prometheus", "kserve")


def every_pod_stack(root: Path, folder: Path) -> Path:
    """Write the checkout, with the stack NAME in it. Return it."""
    local = sections_of(root, "local")
    models, pools = deepcopy(local["models"]), deepcopy(local["pools"])
    models[2] |= {
        "weights": {
            "kind": "cache",
            "claim": "models",
            "mount_path": "/mnt/models",
            "fill": {"kind": "job"},
        },
        "mounts": [{"claim": "extra", "path": "/mnt/extra"}],
        "autoscaling": {"kind": "fixed", "replicas": 2},
        "rollout": {"kind": "rolling", "max_surge": 0, "max_unavailable": 1},
    }
    pools[1]["prepull"] = {"kind": "on"}
    sections = {
        "addons": dict.fromkeys(EXISTING, "existing"),
        "models": models,
        "pools": pools,
        "content_filter": {"kind": "rules", "rules": [{"name": "keys", "words": ["x"]}]},
        "storage": {
            "shared": {"kind": "nfs", "claim": "models", "server": "nfs.invalid", "path": "/models"},
            "fetch": {"image": {"repository": "llm/fetch", "tag": "v1.0"}, "hub_token_secret": "hub"},
        },
    }
    return made_stack(root, folder, NAME, "local", sections)
