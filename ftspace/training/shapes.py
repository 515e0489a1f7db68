"""Sizes of products that come again, for a processor that keeps a program for each size it meets. Knows tensors only.

On a CPU oneDNN compiles every product in half precision for its exact sizes, and keeps it: some half a megabyte each.
Steps of ever new numbers of tokens made a process grow by a megabyte a step, and took a fifth longer.
"""

import torch
from torch.nn import functional

TOKENS, LENGTH = 64, 32
"""What numbers of tokens and lengths of documents are rounded up to."""


def multiple_of(dtype: torch.dtype, device: torch.device) -> int:
    """What the number of tokens of a product should be a multiple of."""
    return TOKENS if device.type == "cpu" and dtype in (torch.bfloat16, torch.float16) else 1


def filled(rows: torch.Tensor, multiple: int) -> torch.Tensor:
    """A matrix with rows of zeros up to a multiple of rows."""
    return functional.pad(rows, (0, 0, 0, -len(rows) % multiple))
