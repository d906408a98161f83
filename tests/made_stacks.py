"""Stacks that no committed file has, made of one that there is."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, cast

import yaml

from settings import stack_yaml

EVERYTHING: Final[Mapping[str, Any]] = {
    "addons": {"kserve_runtimes": "managed", "vault": "managed"},
    "observability": {"store": {"kind": "created", "name": "acme-llm-everything-telemetry"}},
    "database": {
        "kind": "postgres",
        "backups": {"kind": "s3", "bucket": {"kind": "created", "name": "acme-llm-everything-backups"}},
    },
}
"""What may be switched on beside what is on by default. Harbor needs another registry, Kong another gateway."""


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
