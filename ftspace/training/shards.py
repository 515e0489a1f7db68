"""A base whose layers' frozen weights are divided over the processes that train together: torch's FSDP2, and its pace.

A layer is put together whenever it is gone through, forward and backward, which takes all processes. So all go through
all layers in the same order, equally often: who has fewer parts goes through parts that count nothing, and who falls
out in the middle, because its memory ran out, still hands out its shares for the rest of the batch. Knows no data.
"""

from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor

from ftspace.errors import JobError, MemoryGoneError, ModelError
from ftspace.training.alone import Alone
from ftspace.training.memory import release
from ftspace.training.undivided import OthersRanOutError, Undivided


class Shards(Undivided):
    """The layers, seen from one of the processes."""

    divided = True

    def __init__(self, base: nn.Module, group: Alone, place: torch.device) -> None:
        """Divides the layers of a base that has its adapter, and puts all of it on its device, layer by layer.

        What is trained stays whole, and so does what is no layer. Raises ModelError where it has no layers, and
        JobError where it does not go through them in order.
        """
        self._group = group
        self._layers: list[FSDPModule] = []
        self._due: list[int] | None = None
        """Which layers are put together one after the other; None while that is not looked at."""
        self._done = 0
        """So many of them were."""
        mesh = init_device_mesh(place.type, (group.size,))
        for number, layer in enumerate(layers_of(base)):
            whole = {one for one in layer.parameters() if one.requires_grad}
            shard = fully_shard(layer, mesh=mesh, reshard_after_forward=True, ignored_params=whole)
            shard.set_custom_all_gather(_Gathered(partial(self._gather, number)))  # pyright: ignore[reportArgumentType]
            self._layers.append(shard)
        base.to(place)
        self._try(base)

    def begin(self, parts: int, *, training: bool) -> int:
        most = max(self._group.all(parts))
        self._expect(most, training=training)
        return most - parts

    def end(self) -> None:
        if self._due is not None and self._done < len(self._due):
            raise JobError(_OUT_OF_STEP)
        self._agree()

    def fall_out(self, gone: str) -> None:
        release()
        self._catch_up()
        self._agree(ran_out=True, gone=gone)

    @contextmanager
    def lent(self) -> Generator[None]:
        # each pass is told of before its first layer
        told = self._layers[0].register_forward_pre_hook(self._tell, prepend=True)  # pyright: ignore[reportAttributeAccessIssue]
        try:
            yield
        finally:
            told.remove()
            self._catch_up()
            self._group.first(value=False)

    def lend(self) -> None:
        while self._group.first(value=False):
            self._expect(1, training=False)
            self._catch_up()

    def _try(self, base: Any) -> None:
        """A token goes through, after which each layer knows what it takes to begin anew where a pass is broken off."""
        training = base.training
        base.eval()
        self._expect(1, training=False)
        with torch.no_grad():
            base(input_ids=torch.zeros((1, 1), dtype=torch.long, device=base.device), use_cache=False)
        base.train(training)
        self.end()

    def _tell(self, *_: Any) -> None:
        self._catch_up()
        self._group.first(value=True)
        self._expect(1, training=False)

    def _expect(self, passes: int, *, training: bool) -> None:
        forward = list(range(len(self._layers)))
        self._due, self._done = (forward + forward[::-1] * training) * passes, 0

    def _catch_up(self) -> None:
        """Hands out this process's shares of what is still due, and leaves no layer as a broken pass left it."""
        if self._due is not None:
            for layer in self._layers:
                layer.reset_iter_state()
            for number in self._due[self._done :]:
                self._layers[number].unshard()
                self._layers[number].reshard()
        self._due = None

    def _agree(self, *, ran_out: bool = False, gone: str = "") -> None:
        self._due = None
        told = self._group.all((ran_out, gone))
        if why := next((words for _, words in told if words), ""):
            raise MemoryGoneError(why)
        if not ran_out and any(one for one, _ in told):
            raise OthersRanOutError

    def _gather(self, number: int, whole: torch.Tensor, share: torch.Tensor) -> None:
        """Puts one layer's weights together. Raises JobError, rather than mix up two, where another one is due."""
        if self._due is not None and self._due[self._done : self._done + 1] != [number]:
            raise JobError(_OUT_OF_STEP)
        self._group.join(whole, share)
        self._done += 1


_OUT_OF_STEP = (
    "launch.shard: this model does not go through its layers one after the other, once forward and once backward, so "
    "they cannot be divided; set launch.shard to false"
)


class _Gathered:
    """How FSDP2 is to put weights together."""

    def __init__(self, gather: Any) -> None:
        self._gather = gather

    def allocate(self, size: Any, *, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
        return torch.empty(*size, dtype=dtype, device=device)

    def __call__(
        self, output_tensor: torch.Tensor, input_tensor: torch.Tensor, group: dist.ProcessGroup, async_op: bool = False
    ) -> None:
        self._gather(output_tensor, input_tensor)


def layers_of(base: Any) -> list[nn.Module]:
    """The layers of a causal language model, in order. Raises ModelError where they are not in one list."""
    count = base.config.get_text_config().num_hidden_layers
    lists = (one for one in base.modules() if isinstance(one, nn.ModuleList) and len(one) == count)
    found = next(lists, None)
    if found is None:
        raise ModelError(f"launch.shard: the model has no list of its {count} layers; set launch.shard to false")
    return list(found)


def held_bytes(base: Any) -> tuple[int, int]:
    """Bytes of the layers' frozen weights that this process holds, and of all of them."""
    frozen = [one for layer in layers_of(base) for one in layer.parameters() if not one.requires_grad]
    return sum(one.to_local().nbytes if isinstance(one, DTensor) else one.nbytes for one in frozen), sum(
        one.numel() * one.element_size() for one in frozen
    )
