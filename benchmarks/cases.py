"""The parts of a run. Each returns its measurements, and leaves no cluster behind."""

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final, TypeVar

from benchmarks import collector, gateway, middleware, review
from benchmarks.checkout import Checkout, checkout
from benchmarks.memory import cluster_mb, rehearsal_mb, sampled
from benchmarks.part import Bench, Case
from benchmarks.report import Measurement
from benchmarks.scale import Scale, write_stack
from ops.policy import judge, policy_config
from ops.program_graph import program_graph
from rehearsal.cluster import lifecycle
from rehearsal.cluster.nodes import node_objects, reconcile_nodes
from rehearsal.outcome import wait_for_models
from rehearsal.rehearse import Plan, open_stack, plan, start_cluster
from settings import load_stack_file

# What takes a second or less is measured so many times more.
_CHEAP: Final = 3
_MILLISECONDS: Final = 1000
STACK: Final = "local"
GRAPH_STACK: Final = "prod"
T = TypeVar("T")


def seconds(what: Callable[[], object]) -> float:
    """Return how long a call takes."""
    began = time.perf_counter()
    what()
    return time.perf_counter() - began


def timed(what: Callable[[], T]) -> tuple[float, T]:
    """Return how long a call takes, and what it returns."""
    began = time.perf_counter()
    found = what()
    return time.perf_counter() - began, found


def command_line(bench: Bench) -> list[Measurement]:
    """`vp check`, beside a `vp` that does nothing."""
    with checkout(bench.repository) as here:
        here.vp("check", "prod")  # the first one compiles Python files
        times = range(bench.runs * _CHEAP)
        return [
            _seconds("help", "`vp --help`", [here.vp("--help") for _ in times]),
            _seconds("check", "`vp check prod`", [here.vp("check", "prod") for _ in times]),
        ]


def control_plane(bench: Bench) -> list[Measurement]:
    """Start of a bare control plane, of one with KServe, and their memory."""
    bare: list[float] = []
    full: list[float] = []
    memory: list[float] = []
    with checkout(bench.repository) as here:
        layout = here.layout("bare")
        for with_kserve, values in [(False, bare), (True, full)] * bench.runs:
            values.append(
                seconds(lambda: lifecycle.up(layout, bench.tools, _ignored, with_kserve=with_kserve))  # noqa: B023 - called at once
            )
            if not with_kserve:
                memory.append(cluster_mb(layout))
            lifecycle.down(layout)
    return [
        _seconds(
            "control_plane", "etcd, API server, controllers, scheduler, KWOK: from nothing to ready", bare
        ),
        _seconds("cluster", "the same with KServe's CRDs, controller and webhooks", full),
        Measurement(
            name="memory_bare", what="memory of the bare control plane", unit="MB", values=tuple(memory)
        ),
    ]


def rehearsal(bench: Bench) -> list[Measurement]:
    """`vp rehearse local` as a command: from no cluster, and once more on what stands."""
    cold: list[float] = []
    again: list[float] = []
    with checkout(bench.repository) as here:
        for _ in range(bench.runs):
            cold.append(here.vp("rehearse", STACK))
            again.append(here.vp("rehearse", STACK))
            here.down()
    return [
        _seconds("rehearse", "`vp rehearse local` from no cluster, tools built", cold),
        _seconds("rehearse_again", "`vp rehearse local` once more", again),
    ]


def updates(bench: Bench) -> list[Measurement]:
    """The first `pulumi up` of a stack, one that changes nothing, and the memory that they take."""
    first: list[float] = []
    again: list[float] = []
    resting: list[float] = []
    peaks: list[float] = []
    with checkout(bench.repository) as here:
        chosen = plan(STACK, here.root)
        for _ in range(bench.runs):
            layout, _nodes = start_cluster(chosen, here.root, bench.tools, bench.console)
            stack = open_stack(chosen, layout, bench.tools, bench.console)
            with sampled(lambda: rehearsal_mb(layout)) as peak:  # noqa: B023 - ends with this turn
                first.append(seconds(stack.up))
            with lifecycle.connect(layout) as api:
                wait_for_models(api, chosen.settings)
            resting.append(cluster_mb(layout))
            peaks.append(peak.mb)
            again += [seconds(stack.up) for _ in range(_CHEAP)]
            here.down()
    return [
        _seconds("up_first", "the first `pulumi up` of the stack", first),
        _seconds("up_again", "a `pulumi up` that changes nothing", again),
        Measurement(
            name="memory_cluster",
            what="memory of the cluster, models Ready",
            unit="MB",
            values=tuple(resting),
        ),
        Measurement(
            name="memory_peak",
            what="memory of cluster, engine, provider and program at most",
            unit="MB",
            values=tuple(peaks),
        ),
    ]


def policies(bench: Bench) -> list[Measurement]:
    """The rules of the policy pack over prod's graph, and the run of the program that makes the graph."""
    with checkout(bench.repository) as here:
        config = policy_config(GRAPH_STACK, here.root)
        graphs = [timed(lambda: program_graph(GRAPH_STACK, here.root)) for _ in range(bench.runs)]
        graph = graphs[0][1]
        rules = [seconds(lambda: judge(graph, config)) for _ in range(bench.runs * _CHEAP)]
    return [
        _seconds("policies", f"all rules over {len(graph.resources)} resources", rules),
        _seconds(
            "policies_graph", "the program under the recorder, which makes them", [took for took, _ in graphs]
        ),
    ]


def scale(bench: Bench) -> list[Measurement]:
    """Five models on 50 nodes, and 50 models on 500 nodes."""
    return [
        measurement for size in (Scale(models=5), Scale(models=50)) for measurement in _scale(bench, size)
    ]


def tools_from_nothing(bench: Bench) -> list[Measurement]:
    """Build every tool into a cache folder of its own, and look once more when all stand."""
    with _own_cache(bench) as here:
        cold = here.vp("tools", "build")
        warm = [here.vp("tools", "build") for _ in range(_CHEAP)]
    return [
        _seconds("tools_cold", "build of all tools with empty caches, downloads included", [cold]),
        _seconds("tools_warm", "`vp tools build` when all stand", warm),
    ]


@contextmanager
def _own_cache(bench: Bench) -> Generator[Checkout]:
    # `.tools` would be a link to the developer's, whose links would be changed.
    with checkout(bench.repository, without=frozenset({".tools"})) as here:
        cache = {"VP_CACHE": str(here.root.parent / "cache"), "VP_PULUMI": "built"}
        yield Checkout(root=here.root, environment=cache)


def _scale(bench: Bench, size: Scale) -> list[Measurement]:
    models, nodes = size.models, size.nodes
    with checkout(bench.repository) as here:
        file = write_stack(here.root, STACK, size)
        load_stack_file(file)  # reads the facts, once for all
        checks = [seconds(lambda: load_stack_file(file)) for _ in range(bench.runs * _CHEAP)]
        renders = [
            here.vp("render", size.stack, "--out", str(here.root / "rendered")) for _ in range(bench.runs)
        ]
        ups: list[float] = []
        node_times: list[float] = []
        chosen = plan(size.stack, here.root)
        for _ in range(max(1, bench.runs // _CHEAP)):
            up, creation = _deploy(bench, here, chosen)
            ups.append(up)
            node_times.append(creation)
    return [
        _each(f"check_model_{models}", f"checks, per model of {models}", checks, models),
        _each(f"render_model_{models}", f"`vp render`, per model of {models}", renders, models),
        _each(f"node_{nodes}", f"creation of the nodes, per node of {nodes}", node_times, nodes),
        _each(
            f"up_model_{models}", f"first `pulumi up` until all are Ready, per model of {models}", ups, models
        ),
    ]


def _deploy(bench: Bench, here: Checkout, chosen: Plan) -> tuple[float, float]:
    """Return seconds of the update until all replicas are ready, and of the nodes' creation."""
    layout = here.layout(chosen.stack)
    lifecycle.up(layout, bench.tools, _ignored)
    with lifecycle.connect(layout) as api:
        wanted = node_objects(chosen.settings, api.version())
        creation = seconds(lambda: reconcile_nodes(api, wanted))
        stack = open_stack(chosen, layout, bench.tools, bench.console)
        began = time.perf_counter()
        stack.up()
        wait_for_models(api, chosen.settings)
        up = time.perf_counter() - began
    here.down()
    return up, creation


def _ignored(_: str) -> None:
    """A report of progress that nobody reads."""


def _seconds(name: str, what: str, values: list[float]) -> Measurement:
    return Measurement(name=name, what=what, unit="s", values=tuple(values))


def _each(name: str, what: str, values: list[float], count: int) -> Measurement:
    return Measurement(
        name=name, what=what, unit="ms", values=tuple(value * _MILLISECONDS / count for value in values)
    )


CASES: Final[dict[str, Case]] = {
    "check": command_line,
    "control-plane": control_plane,
    "rehearsal": rehearsal,
    "updates": updates,
    "scale": scale,
    "policies": policies,
    "middleware": middleware.paced,
    "middleware-vllm": middleware.engine,
    "gateway": gateway.latency,
    "review": review.review,
    "collector": collector.agent,
}
"""What a run does, in this order."""
WITHOUT_TOOLS: Final = frozenset({"policies", "middleware", "middleware-vllm", "review"})
"""Parts that need none of the rehearsal's tools."""
OF_ENGINE: Final = frozenset({"middleware", "middleware-vllm"})
"""Parts that run what the image brings."""
OWN_TOOLS: Final = frozenset({"collector"})
"""Parts that build what they need themselves, and it is less."""
COLD_CASES: Final[dict[str, Case]] = {"tools": tools_from_nothing}
"""What it does only when it is asked to: it takes many minutes and 8 GB."""
