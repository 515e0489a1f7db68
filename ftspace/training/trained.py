"""What a training changes in a model, as tensors by name, and the random numbers it draws. Knows torch, no files."""

import random
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from ftspace.errors import ModelError

_IMPORTANCE = ("ipt", "exp_avg_ipt", "exp_avg_unc")
"""What AdaLoRA remembers of each weight, by which it chooses the ranks."""
_ADALORA = "adalora:"

Ranks = dict[str, list[bool]]


def trained(model: Any) -> dict[str, torch.Tensor]:
    """All that a training changes, whatever the method: trained parameters, stored buffers, AdaLoRA's memory."""
    found = {name: one.detach().contiguous() for name, one in _places(model).items()}
    for kind, name, one in _importance(model):
        found[f"{_ADALORA}{kind}:{name}"] = one.detach().contiguous()
    return found


def put_back(model: Any, tensors: dict[str, torch.Tensor], ranks: Ranks | None) -> None:
    """Makes the model what it was when `trained` and `ranks_of` looked at it. Raises ModelError if it is another."""
    places = _places(model)
    own = {name: one for name, one in tensors.items() if not name.startswith(_ADALORA)}
    if places.keys() != own.keys() or any(one.shape != own[name].shape for name, one in places.items()):
        raise ModelError(
            "a checkpoint's weights are not those that this run trains: were libraries changed since? Start a new run"
        )
    with torch.no_grad():
        for name, one in places.items():
            one.copy_(own[name])
    allocator = _allocator(model)
    if allocator is None:
        return
    allocator.reset_ipt()
    parameters = dict(model.base_model.model.named_parameters())
    for full in tensors.keys() - own.keys():
        kind, _, name = full.removeprefix(_ADALORA).partition(":")
        getattr(allocator, kind)[name] = tensors[full].to(parameters[name].device)
    allocator.peft_config.rank_pattern = ranks


def ranks_of(model: Any) -> Ranks | None:
    """The ranks that AdaLoRA has chosen."""
    allocator = _allocator(model)
    return dict(allocator.peft_config.rank_pattern) if allocator and allocator.peft_config.rank_pattern else None


def is_finite(model: Any) -> bool:
    """Whether every trained parameter is a number."""
    return all(bool(torch.isfinite(one).all()) for one in model.parameters() if one.requires_grad)


@contextmanager
def undisturbed() -> Generator[None]:
    """What is done here draws no random number of those outside."""
    python, arrays, cpu = random.getstate(), np.random.get_state(), torch.get_rng_state()
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(arrays)
        torch.set_rng_state(cpu)
        if cuda:
            torch.cuda.set_rng_state_all(cuda)


def _places(model: Any) -> dict[str, torch.Tensor]:
    """Where the values are."""
    found: dict[str, torch.Tensor] = {name: one for name, one in model.named_parameters() if one.requires_grad}
    for path, module in model.named_modules():
        for name, one in module._buffers.items():
            if one is not None and name not in module._non_persistent_buffers_set:
                found[f"{path}.{name}"] = one
    return found


def _allocator(model: Any) -> Any:
    return getattr(getattr(model, "base_model", None), "rankallocator", None)


def _importance(model: Any) -> Generator[tuple[str, str, torch.Tensor]]:
    allocator = _allocator(model)
    for kind in _IMPORTANCE if allocator else ():
        for name, one in getattr(allocator, kind).items():
            yield kind, name, one
