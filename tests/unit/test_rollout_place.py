"""How a stack's cluster is logged in to, and what is said where it can not be."""

import json
from pathlib import Path
from typing import Final

import pytest
from rich.console import Console

from ops.cluster_api import ClusterApi, ClusterError
from ops.rollout.place import Deployed
from rehearsal.errors import UserError
from settings import ExistingCluster, load_stack_file

pytestmark = pytest.mark.unit

SECRET: Final = "a-token-that-nobody-shall-read"  # noqa: S105 - that is what it is for


def kubeconfig(path: Path, context: str) -> Path:
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:9"}}],
        "users": [{"name": "u", "user": {"token": SECRET}}],
        "contexts": [{"name": context, "context": {"cluster": "c", "user": "u"}}],
        "current-context": context,
    }
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize("text", ["no: [kubeconfig", f"token: {SECRET}", f'"{SECRET}"', ""])
def test_a_file_that_is_no_kubeconfig_is_told_without_what_it_holds(tmp_path: Path, text: str) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(text)
    with pytest.raises(ClusterError, match=str(path)) as refused:
        ClusterApi(path, None)
    assert SECRET not in str(refused.value)


def test_on_eks_the_context_of_the_cluster_is_taken_and_where_it_is_missing_how_to_get_it(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Deployed("prod", root, Console(), load_stack_file(root / "Pulumi.prod.yaml"))
    arn = "arn:aws:eks:us-east-1:123456789012:cluster/llm-prod"
    path = kubeconfig(tmp_path / "kubeconfig", "another-cluster")
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(path))
    with pytest.raises(
        ClusterError, match=r"fix: aws eks update-kubeconfig --name llm-prod --region us-east-1"
    ):
        place.cluster()
    kubeconfig(path, arn)
    assert place.cluster() is place.cluster()


def test_on_a_cluster_that_exists_file_and_context_of_the_stack_are_taken(root: Path, tmp_path: Path) -> None:
    path = kubeconfig(tmp_path / "kubeconfig", "mine")
    own = load_stack_file(root / "Pulumi.local.yaml")
    cluster = ExistingCluster(
        kind="existing", kubeconfig=str(path), context="mine", region="r", zones=("r-a",)
    )
    settings = own.model_copy(update={"cluster": cluster})
    assert Deployed("s", root, Console(), settings).cluster() is not None
    with pytest.raises(UserError, match="add --rehearsal"):
        Deployed("s", root, Console(), own).cluster()
