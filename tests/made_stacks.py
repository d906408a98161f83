"""Stacks that no committed file has, made of one that there is."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, cast

import yaml

from settings import EXAMPLE_DIGEST, stack_yaml
from settings.ready_models import entry_text

EVERYTHING: Final[Mapping[str, Any]] = {
    "addons": {"kserve_runtimes": "managed", "vault": "managed"},
    "secrets": {"kind": "vault", "prefix": "llm-everything"},
    "observability": {"store": {"kind": "created", "name": "acme-llm-everything-telemetry"}},
    "database": {
        "kind": "postgres",
        "backups": {"kind": "s3", "bucket": {"kind": "created", "name": "acme-llm-everything-backups"}},
    },
}
"""What may be switched on beside what is on by default. Harbor needs another registry, Kong another gateway."""


KONG: Final[Mapping[str, Any]] = {
    "edge": {"kind": "off"},
    "gateway": {
        "kind": "kong",
        "authentication": {
            "kind": "jwt",
            # RFC 7515, appendix A.3.
            "key": {
                "kty": "EC",
                "kid": "one",
                "alg": "ES256",
                "crv": "P-256",
                "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
                "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
            },
        },
        "consumers": [
            {"name": "team-a", "models": ["qwen-7b-vllm"]},
            {"name": "Team_B", "models": ["qwen-7b-vllm", "qwen3-embedding"], "requests_per_minute": 10},
        ],
        "limits": {
            "counters": {"kind": "redis", "address": "redis.internal:6379", "password_secret": "redis"}
        },
        "origins": ["https://chat.example.com"],
    },
}
"""Kong in the place of Envoy Gateway. Its models must not be rolled out by shares."""


def kong_sections(root: Path) -> dict[str, Any]:
    """Return what prod changes for Kong: shares of a rollout are dealt out by Envoy alone, and traces begin there."""
    prod = sections_of(root, "prod")
    models = [
        model | {"rollout": {"kind": "rolling", "max_surge": 1, "max_unavailable": 0}}
        if model["rollout"]["kind"] == "canary"
        else model
        for model in prod["models"]
    ]
    observability = {**prod["observability"], "tracing": {"kind": "off"}}
    return {**KONG, "models": models, "observability": observability}


def catalogue_sections(names: Iterable[str], *, bucket: str, by_digest: bool = False) -> dict[str, Any]:
    """Return pools, and ready models of the catalogue as they are copied: the stack's own bucket, in prod a digest."""
    models: list[dict[str, Any]] = []
    for name in names:
        text = entry_text(name).replace("acme-llm-prod-models", bucket)
        (entry,) = cast("list[dict[str, Any]]", stack_yaml.load(text))
        if by_digest:
            entry["image"] = {key: entry["image"][key] for key in ("repository", "tag")} | {
                "digest": EXAMPLE_DIGEST
            }
        models.append(entry)
    on_demand, karpenter = {"kind": "on-demand"}, {"kind": "karpenter"}
    a10 = {"kind": "gpu", "instance_type": "g5.2xlarge", "min": 0, "provisioner": karpenter}
    return {
        # What is said of the models that were.
        "cost": {},
        "models": models,
        "pools": [
            {
                "kind": "cpu",
                "name": "system",
                "instance_type": "c6i.2xlarge",
                "min": 2,
                "max": 2,
                "provisioner": {"kind": "managed"},
                "capacity": on_demand,
            },
            {
                "kind": "cpu",
                "name": "platform",
                "instance_type": "c6i.4xlarge",
                "min": 2,
                "max": 3,
                "provisioner": karpenter,
                "capacity": on_demand,
            },
            {**a10, "name": "a10", "max": 25, "capacity": on_demand},
            {**a10, "name": "a10-spot", "max": 5, "capacity": {"kind": "spot"}},
            {
                "kind": "gpu",
                "name": "a100",
                "instance_type": "p4d.24xlarge",
                "min": 0,
                "max": 2,
                "zones": ["us-east-1a"],
                "provisioner": karpenter,
                "capacity": {"kind": "reserved", "reservation": "cr-0123456789abcdef0"},
                "placement": {"kind": "single-zone"},
            },
        ],
    }


def sections_of(root: Path, stack: str) -> dict[str, Any]:
    """Return the sections of a stack file as they are written there."""
    content = cast(
        "dict[str, Any]", stack_yaml.load((root / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8"))
    )
    return {
        key.removeprefix("vllm-platform:"): value
        for key, value in content["config"].items()
        if key.startswith("vllm-platform:")
    }


def made_stack(root: Path, folder: Path, name: str, base: str, sections: Mapping[str, Any]) -> Path:
    """Write a checkout with one stack: `base` with some sections changed. Return it."""
    for source in root.iterdir():
        if source.name not in {".rehearsal", ".git"} and not source.match("Pulumi.*.yaml"):
            (folder / source.name).symlink_to(source)
    text = (root / f"Pulumi.{base}.yaml").read_text(encoding="utf-8")
    content = cast("dict[str, Any]", stack_yaml.load(text))
    config = {f"vllm-platform:{section}": value for section, value in sections.items()}
    content["config"] |= config
    (folder / f"Pulumi.{name}.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return folder
