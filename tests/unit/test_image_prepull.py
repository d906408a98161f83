"""Pods that keep the images of a pool's models on its nodes: what they run, that they end, and that models wait for them."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from components.image_prepull import END_AT_ONCE, PYTHON, STAY, SUFFIX, PoolImages, daemon_set_spec
from ops.program_graph import program_graph
from settings import Settings
from settings.pools import GPU_RESOURCE, GpuPool
from tests.conftest import ROOT
from tests.made_stacks import made_stack, sections_of

pytestmark = pytest.mark.unit

IMAGES: Final = ("registry.invalid/chat:v1", "registry.invalid/embedding:v1")
ON: Final = {"kind": "on"}


@pytest.fixture
def pool(local: Settings) -> GpuPool:
    return local.gpu_pools[0]


def _pod(pool: GpuPool) -> Any:  # noqa: ANN401
    each = PoolImages(pool=pool, images=IMAGES, wait_seconds=600)
    return daemon_set_spec(each, service_account="account", priority_class="low")["template"]["spec"]


def test_every_image_is_in_the_pod_and_no_image_starts_its_engine(pool: GpuPool) -> None:
    pod = _pod(pool)
    containers = [*pod["initContainers"], *pod["containers"]]
    assert sorted(container["image"] for container in containers) == sorted(IMAGES)
    assert all(container["command"][:-1] == list(PYTHON) for container in containers)
    assert [c["command"][-1] for c in pod["initContainers"]] == [END_AT_ONCE]


def test_it_asks_for_no_gpu_and_lands_on_the_pool_alone(pool: GpuPool) -> None:
    pod = _pod(pool)
    assert pod["nodeSelector"] == pool.node_selector
    assert pod["tolerations"] == pool.tolerations
    for container in (*pod["initContainers"], *pod["containers"]):
        assert GPU_RESOURCE not in str(container["resources"])
        assert container["securityContext"]["readOnlyRootFilesystem"]


def _command(program: str) -> list[str]:
    _, *flags = PYTHON
    return [sys.executable, *flags, program]


def test_what_only_pulls_ends_at_once() -> None:
    assert subprocess.run(_command(END_AT_ONCE), check=False).returncode == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="makes a namespace of processes, which only root may")
def test_what_stays_ends_when_it_is_told_to_also_as_the_first_process_of_a_container() -> None:
    """A first process is not sent signals that it neither handles nor waits for."""
    waits = "s.sigwait(w)"
    assert STAY.endswith(waits)
    ready = f"{STAY.removesuffix(waits)}print('up', flush=True); {waits}"
    command = ["/usr/bin/unshare", "--pid", "--fork", "--kill-child", *_command(ready)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as outer:
        try:
            assert outer.stdout is not None
            assert outer.stdout.readline() == "up\n"
            (inner,) = Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text().split()
            os.kill(int(inner), signal.SIGTERM)
            assert outer.wait(timeout=30) == 0
        finally:
            outer.kill()


def _graph(folder: Path, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    prod = sections_of(ROOT, "prod")
    pools = [pool | (changes if pool["name"] == "a10" else {}) for pool in prod["pools"]]
    made = made_stack(ROOT, folder, "pulling", "prod", {"pools": pools})
    return {resource["name"]: resource for resource in program_graph("pulling", made).resources}


def test_models_of_the_pool_wait_until_its_nodes_have_their_images_and_no_others_do(tmp_path: Path) -> None:
    graph = _graph(tmp_path, prepull=ON)
    pull = graph["prepull-a10"]
    assert pull["urn"] in graph["qwen-7b-vllm"]["dependencies"]
    assert pull["urn"] not in graph["qwen3-embedding"]["dependencies"]
    assert any("::pool-a10-" in urn for urn in pull["dependencies"])
    (container,) = pull["inputs"]["spec"]["template"]["spec"]["containers"]
    engine = graph["qwen-7b-vllm-inference"]["inputs"]["spec"]["predictor"]["containers"][0]
    assert container["image"] == engine["image"]
    assert graph["prepull-namespace"]["inputs"]["metadata"]["name"] == f"llm-prod{SUFFIX}"
    assert not [name for name in graph if name.startswith("prepull-a100")]


def test_without_it_there_is_nothing(tmp_path: Path) -> None:
    assert not [name for name in _graph(tmp_path) if name.startswith("prepull")]
