"""The Pulumi project that a rehearsal runs: the checkout's own program with the rehearsal's settings file beside it.

It is a folder of links below `.rehearsal/NAME/`, so that `pulumi stack init` and the salt it writes never touch the committed stack files,
and so that a person can run any `pulumi` command there by hand.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from rehearsal.cluster.layout import ClusterLayout
from rehearsal.cluster.orphans import backend_url
from rehearsal.toolchain import Toolchain

# The rehearsal's state holds no secret of anybody: the passphrase only satisfies Pulumi, which will not write a state without one.
PASSPHRASE = "rehearsal"  # noqa: S105 - a throwaway, see above
# Made once with that passphrase. A fixed salt keeps repeated runs from writing a new one each time.
SALT = "v1:MZvhhp8pX3E=:v1:mUlN9ZTk+opeD4LU:TtnbPmDWFzyU6nA6WOOPSELUNdCGag=="
# `.rehearsal` because the program names its kubeconfig relative to the folder that Pulumi runs in, `components` because of
# Helm's post-renderer, which it names so too; `policies` for `pulumi preview --policy-pack policies` by hand.
LINKS = ("__main__.py", "components", "policies", "requirements.txt", ".venv", ".rehearsal")


def project_folder(layout: ClusterLayout) -> Path:
    """Where the rehearsal's Pulumi project lies."""
    return layout.root / "project"


def write_project(layout: ClusterLayout, stack: str, config: Mapping[str, Any]) -> Path:
    """Write the project folder; an existing one is brought up to date. Returns it."""
    folder = project_folder(layout)
    folder.mkdir(parents=True, exist_ok=True)
    layout.pulumi_state.mkdir(exist_ok=True)
    for name in LINKS:
        link = folder / name
        if not link.is_symlink():
            link.symlink_to(layout.project_root / name)
    (folder / "Pulumi.yaml").write_text((layout.project_root / "Pulumi.yaml").read_text())
    content = {"encryptionsalt": SALT, "config": dict(config)}
    (folder / f"Pulumi.{stack}.yaml").write_text(yaml.safe_dump(content, sort_keys=False, width=150))
    return folder


def pulumi_environment(layout: ClusterLayout, tools: Toolchain) -> dict[str, str]:
    """Variables that point Pulumi at the rehearsal: its own backend, passphrase and tools. Add them to the caller's environment."""
    return {
        **tools.env(),
        "PULUMI_BACKEND_URL": backend_url(layout.pulumi_state),
        "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        # A misread Output is an error, not a help text inside a manifest.
        "PULUMI_ERROR_OUTPUT_STRING": "true",
        "KUBECONFIG": str(layout.kubeconfig),
        # The provider leaves a copy of the kubeconfig there at each run, and the engine a log: `down` removes them.
        "TMPDIR": str(layout.tmp),
    }
