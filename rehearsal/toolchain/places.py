"""The folders of the toolchain: the checkout's own, and the user's cache that all checkouts share."""

import os
from dataclasses import dataclass
from pathlib import Path

from rehearsal.project import project_root


@dataclass(frozen=True, kw_only=True)
class Places:
    """Two roots and the folders under them. Nothing here creates a folder.

    :param project: root of the checkout.
    :param cache: the user's cache for this project, shared by all checkouts.
    """

    project: Path
    cache: Path

    @property
    def modules(self) -> Path:
        """One Go module per tool, committed."""
        return self.project / "tools"

    @property
    def links(self) -> Path:
        """Links to the binaries that this checkout uses; a folder for PATH."""
        return self.project / ".tools" / "bin"

    @property
    def asset_links(self) -> Path:
        """Links to the files beside the binaries, one per tool."""
        return self.project / ".tools" / "assets"

    @property
    def outputs(self) -> Path:
        """Finished tools, one folder per tool and hash of its inputs."""
        return self.cache / "tools"

    @property
    def logs(self) -> Path:
        """One build log per tool."""
        return self.cache / "logs"

    @property
    def locks(self) -> Path:
        """Lock files, one per tool and hash."""
        return self.cache / "locks"

    @property
    def go_modules(self) -> Path:
        """GOMODCACHE: what was downloaded. Not needed once every tool stands."""
        return self.cache / "go" / "mod"

    @property
    def go_build(self) -> Path:
        """GOCACHE: compiled packages; an interrupted build goes on from them. Not needed once all stand."""
        return self.cache / "go" / "build"

    @property
    def pulumi_home(self) -> Path:
        """PULUMI_HOME of the CLI that was built here, so that the user's own ~/.pulumi is left alone."""
        return self.cache / "pulumi-home"


def default_places() -> Places:
    """The places of this checkout.

    The cache is $VP_CACHE, else $XDG_CACHE_HOME/vllm-platform, else ~/.cache/vllm-platform.

    :raises UserError: there is no checkout around.
    """
    if own := os.environ.get("VP_CACHE"):
        cache = Path(own).expanduser().resolve()
    elif xdg := os.environ.get("XDG_CACHE_HOME"):
        cache = Path(xdg).expanduser().resolve() / "vllm-platform"
    else:
        cache = Path.home() / ".cache" / "vllm-platform"
    return Places(project=project_root(), cache=cache)
