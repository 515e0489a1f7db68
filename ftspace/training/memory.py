"""How much memory was used, when it has run out, and what a step needs to be done again. Knows torch, no trainer."""

import gc
import sys
from dataclasses import dataclass
from pathlib import Path

import torch

from ftspace.workers import is_out_of_memory

_STATUS = Path("/proc/self/status")

__all__ = ["RandomState", "is_out_of_memory", "peak_bytes", "release"]


@dataclass(frozen=True)
class RandomState:
    """Where torch's random numbers are on the CPU and, if it has been used, on the GPU."""

    cpu: torch.Tensor
    cuda: torch.Tensor | None

    @classmethod
    def now(cls) -> "RandomState":
        """The present state."""
        return cls(torch.get_rng_state(), torch.cuda.get_rng_state() if torch.cuda.is_initialized() else None)

    def restore(self) -> None:
        """Goes back to it."""
        torch.set_rng_state(self.cpu)
        if self.cuda is not None:
            torch.cuda.set_rng_state(self.cuda)


def release() -> None:
    """Hands back what a failed attempt left behind. To be called when its exception is gone, which held its tensors."""
    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()


def peak_bytes() -> int:
    """Peak memory of this process so far: the allocator's on a GPU, else what was resident."""
    if torch.cuda.is_initialized():
        return torch.cuda.max_memory_allocated()
    if _STATUS.exists():
        status = _STATUS.read_bytes()
        start = status.index(b"VmHWM:") + len(b"VmHWM:")
        return int(status[start : status.index(b"kB", start)]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
