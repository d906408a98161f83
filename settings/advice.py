"""What would fit where a model does not: fewer requests, a shorter context, more GPUs a replica."""

from dataclasses import dataclass

from settings.engine import Engine
from settings.facts import GpuFacts, ModelFacts
from settings.fit import MemoryFit, memory_fit
from settings.shapes import splits_up_to


@dataclass(frozen=True, kw_only=True)
class Advice:
    """What may take the place of the asked settings; None where no value of that setting alone would do.

    parallel: the smallest `tensor_parallel_size` above the asked one that fits on a node of these GPUs.
    """

    requests: int | None
    context: int | None
    parallel: int | None

    def settings(self) -> list[str]:
        """Write each as a line of a stack file."""
        named = {
            "max_num_seqs": self.requests,
            "max_model_len": self.context,
            "tensor_parallel_size": self.parallel,
        }
        return [f"{key}: {value}" for key, value in named.items() if value is not None]


def advice(facts: ModelFacts, engine: Engine, gpu: GpuFacts) -> Advice:
    """Say what would fit instead of what an engine asks for."""
    fit = memory_fit(facts, engine, gpu)
    wider = (size for size, split in fits_by_split(facts, engine, gpu, gpu.count).items() if split.fits)
    return Advice(
        requests=fit.most_sequences or None,
        context=fit.longest_context or None,
        parallel=next((size for size in wider if size > engine.tensor_parallel_size), None),
    )


def fits_by_split(facts: ModelFacts, engine: Engine, gpu: GpuFacts, most: int) -> dict[int, MemoryFit]:
    """Return the fit for every tensor parallel size up to `most` into which the model can be cut."""
    return {
        size: memory_fit(facts, engine.model_copy(update={"tensor_parallel_size": size}), gpu)
        for size in splits_up_to(facts, most)
    }
