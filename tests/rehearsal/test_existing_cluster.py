"""A cluster that exists, with some add-ons on it: those are left alone, the rest is added, and models become Ready."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, cast

import pytest

from rehearsal.cluster.api import Api, has_condition
from rehearsal.cluster.nodes import node_objects, reconcile_nodes
from rehearsal.errors import UserError
from settings import build, stack_yaml
from tests.rehearsal.bare import Bare, bare_cluster
from tests.rehearsal.conftest import REPOSITORY
from tests.rehearsal.snapshots import Snapshot, deployed_releases, snapshot

pytestmark = pytest.mark.rehearsal

ADDONS: Final = {
    "kserve": "existing",
    "external_secrets": "existing",
    "cert_manager": "managed",
}
PUSHED: Final = "sha256:" + "1" * 64


def _sections() -> dict[str, Any]:
    """Return the pools and models of the stack `local`, with images that somebody pushed and a fixed number of replicas."""
    content = stack_yaml.load((REPOSITORY / "Pulumi.local.yaml").read_text("utf-8"))
    local = cast("dict[str, Any]", content)["config"]
    models = local["vllm-platform:models"]
    for model in models:
        model["image"]["digest"] = PUSHED
        # No autoscaler: what it reads its metrics from is none of the add-ons here.
        if model["autoscaling"]["kind"] != "fixed":
            model["autoscaling"] = {"kind": "fixed", "replicas": 2}
    return {"addons": ADDONS, "pools": local["vllm-platform:pools"], "models": models}


def _untouched(before: Snapshot, after: Snapshot) -> dict[tuple[str, str], tuple[str, str | None]]:
    """Return what was there before and was changed or is gone since."""
    return {
        key: (version, after.versions.get(key))
        for key, version in before.versions.items()
        if after.versions.get(key) != version
    }


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bare]:
    """KServe runs, and somebody else has installed External Secrets."""
    with bare_cluster(tmp_path_factory.mktemp("existing"), with_kserve=True) as cluster:
        sections = cluster.config(**_sections())
        settings = build("x", {key.removeprefix("vllm-platform:"): v for key, v in sections.items()})
        with cluster.api() as api:
            reconcile_nodes(api, node_objects(settings, api.version()))
        config = {"charts": str(cluster.charts), "kubeconfig": str(cluster.layout.kubeconfig)}
        cluster.program("others", Path(__file__).parent / "programs" / "others.py", config).up()
        yield cluster


@pytest.fixture
def api(bare: Bare) -> Iterator[Api]:
    with bare.api() as connection:
        yield connection


def test_what_is_there_is_left_alone_the_rest_is_added_and_models_become_ready(bare: Bare, api: Api) -> None:
    before = snapshot(api)
    assert ("Deployment", "team-secrets/team-secrets-external-secrets") in before.objects
    stack = bare.stack("ours", bare.config(**_sections()))
    assert set(stack.up()) == {"create"}
    assert deployed_releases(api) == {"team-secrets", "cert-manager"}
    services = api.list("serving.kserve.io/v1beta1", "InferenceService")
    assert services
    assert [o["metadata"]["name"] for o in services if not has_condition(o, "Ready")] == []
    assert _untouched(before, snapshot(api)) == {}
    stack.destroy()
    assert _untouched(before, snapshot(api)) == {}


def test_an_add_on_that_should_be_there_and_is_not_is_named_before_anything_is_made(
    bare: Bare, api: Api
) -> None:
    before = snapshot(api)
    addons = {"kserve": "existing", "keda": "existing", "istio": "existing", "external_secrets": "existing"}
    stack = bare.stack("wrong", bare.config(addons=addons))
    with pytest.raises(UserError) as refusal:
        stack.up()
    preview = bare.preview("wrong")
    assert preview.returncode != 0
    for said in (str(refusal.value), preview.stdout + preview.stderr):
        assert "addons.keda" in said
        assert "keda.sh/v1alpha1" in said
        assert "addons.istio" in said
        assert "security.istio.io/v1" in said
        assert "addons.external_secrets" not in said
        assert "Traceback" not in said
    assert snapshot(api).versions == before.versions


def test_a_storage_class_that_is_not_there_is_named(bare: Bare) -> None:
    addons = {"kserve": "existing", "loki": "managed"}
    stack = bare.stack("volumes", bare.config(addons=addons))
    with pytest.raises(UserError, match="storage class"):
        stack.up()
