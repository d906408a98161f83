"""GPUs of all nodes, also those that no model has: what they do, and what is wrong with them. Pure."""

from typing import Final

from components.dashboards.overview import MEMORY_USED
from components.dashboards.panels import Board, Limit, Panel, Query, Row, Unit, Variable
from components.telemetry.platform_alerts import MEMORY_FULL
from components.telemetry.rules import MODEL

_GPUS: Final = f'{{node=~"$node",{MODEL}=~"$model"}}'
_GPU: Final = "{{node}} {{gpu}}"
NO_GPU: Final = "No node with a GPU in this time"


def gpu_fleet() -> Board:
    """Return the dashboard."""
    return Board(
        name="gpus",
        title="GPUs",
        description="GPUs of all nodes, by the DCGM exporter: what they do, and what is wrong with them.",
        variables=(
            Variable(name="node", label="Node", values="label_values(DCGM_FI_DEV_GPU_UTIL, node)"),
            Variable(name="model", label="Model", values=f"label_values(DCGM_FI_DEV_GPU_UTIL, {MODEL})"),
        ),
        rows=(
            Row(panels=(_count(), _idle()), height="low"),
            Row(
                panels=(
                    _each(
                        "Busy",
                        "Part of the time in which a GPU did anything at all: one request keeps it as busy as thirty do.",
                        "DCGM_FI_DEV_GPU_UTIL",
                        "percent",
                        most=100,
                    ),
                    _memory(),
                )
            ),
            Row(
                panels=(
                    _each(
                        "Tensor cores at work",
                        "Share of the cycles in which a tensor core computed: how well the batches fill the GPU.",
                        "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE",
                        "percentunit",
                        most=1,
                    ),
                    _each(
                        "Memory at work",
                        "Share of the cycles in which memory was read or written: what bounds the generation of tokens.",
                        "DCGM_FI_PROF_DRAM_ACTIVE",
                        "percentunit",
                        most=1,
                    ),
                )
            ),
            Row(
                panels=(
                    _each(
                        "Temperature",
                        "Of the chip. Above about 85 degrees most GPUs slow down.",
                        "DCGM_FI_DEV_GPU_TEMP",
                        "celsius",
                        limits=(Limit(value=80, color="yellow"), Limit(value=85, color="red")),
                    ),
                    _each("Power", "What a GPU draws.", "DCGM_FI_DEV_POWER_USAGE", "watt"),
                )
            ),
            Row(panels=(_errors(), _broken())),
        ),
    )


def _each(
    title: str,
    description: str,
    metric: str,
    unit: Unit,
    *,
    limits: tuple[Limit, ...] = (),
    most: float | None = None,
) -> Panel:
    return Panel(
        title=title,
        description=description,
        unit=unit,
        queries=(Query(expression=f"max by (node, gpu) ({metric}{_GPUS})", legend=_GPU),),
        nothing=NO_GPU,
        limits=limits,
        most=most,
    )


def _count() -> Panel:
    return Panel(
        title="GPUs",
        description="That the exporter sees, by model. Those without a name are not given to any.",
        unit="none",
        queries=(
            Query(
                expression=f"count by ({MODEL}) (DCGM_FI_DEV_GPU_UTIL{_GPUS})",
                legend=f"{{{{{MODEL}}}}}",
            ),
        ),
        nothing=NO_GPU,
        alerts=("GpuTelemetryMissing",),
        now=True,
    )


def _idle() -> Panel:
    idle = f"max by (node, gpu) (max_over_time(DCGM_FI_DEV_GPU_UTIL{_GPUS}[15m]))"
    return Panel(
        title="GPUs that did nothing",
        description="In the last 15 minutes, of all. Each is paid for.",
        unit="none",
        queries=(Query(expression=f"count({idle} == 0) or 0 * count({idle})", legend="idle"),),
        nothing=NO_GPU,
        limits=(Limit(value=1, color="yellow"),),
        now=True,
    )


def _memory() -> Panel:
    return Panel(
        title="Memory in use",
        description="Share of each GPU's. An engine takes nearly all at its start, and no more later.",
        unit="percentunit",
        queries=(
            Query(
                expression=f"max by (node, gpu) ({MEMORY_USED.replace('{of}', _GPUS)})",
                legend=_GPU,
            ),
        ),
        nothing=NO_GPU,
        limits=(Limit(value=MEMORY_FULL, color="red"),),
        alerts=("GpuMemoryFull",),
        most=1,
    )


def _errors() -> Panel:
    return Panel(
        title="Last error (XID)",
        description="Its number stays until the driver is loaded anew; 0 is none. 13, 31, 43 and 45 a program may cause by itself.",
        unit="none",
        queries=(Query(expression=f"max by (node, gpu) (DCGM_FI_DEV_XID_ERRORS{_GPUS})", legend=_GPU),),
        nothing=NO_GPU,
        limits=(Limit(value=1, color="red"),),
        alerts=("GpuXidError",),
    )


def _broken() -> Panel:
    return Panel(
        title="Broken memory",
        description="Rows that were replaced after an error that could not be corrected, and 1 where one could not be: exchange the GPU.",
        unit="none",
        queries=(
            Query(
                expression=f"max by (node, gpu) (DCGM_FI_DEV_ROW_REMAP_FAILURE{_GPUS})",
                legend=f"{_GPU} could not be replaced",
            ),
            Query(
                expression=f"max by (node, gpu) (DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS{_GPUS})",
                legend=f"{_GPU} replaced",
            ),
        ),
        nothing=NO_GPU,
        limits=(Limit(value=1, color="red"),),
        alerts=("GpuMemoryBroken",),
    )
