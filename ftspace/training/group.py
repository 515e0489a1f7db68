"""The processes that train together: what they agree on, sum up and hand each other. Knows torch, no trainer.

torchrun starts them; each runs the same script with the same random numbers, and differs only in its share of each
step. One that is alone does as if there were no group. A thread of each looks whether the others still live: a machine
that is gone answers nothing, and a sum with it would be waited for for ever.
"""

import json
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch._C._distributed_c10d import TCPStore

from ftspace.errors import JobError, LostProcessError
from ftspace.settings import Rank
from ftspace.training.alone import Alone
from ftspace.training.memory import RandomState
from ftspace.workers import LOST

T = TypeVar("T")
BEAT_SECONDS = 3.0
"""How often a process says that it lives."""
LOST_SECONDS = 30.0
"""After so long without a word it is taken for lost."""
BUCKET_BYTES = 64 * 2**20
"""Of gradients that are summed at once."""
_STORE = "the machine where the processes meet"
_PATIENCE = timedelta(days=7)
"""How long a sum is waited for: whether the others live is looked at otherwise."""

log = logging.getLogger(__name__)


class Group(Alone):
    """Several processes, seen from one of them."""

    def __init__(self, rank: Rank) -> None:
        """Joins the group that torchrun started. Raises LostProcessError when it does not come about."""
        self.rank, self.size = rank.rank, rank.size
        self._rank = rank
        self._hosts: list[str] = []
        host, port = rank.address
        kinds = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        with self._unbroken():
            dist.init_process_group(
                kinds, init_method=f"tcp://{host}:{port}", rank=self.rank, world_size=self.size, timeout=_PATIENCE
            )
            self._hosts = self.all(f"machine {rank.node + 1} ({socket.gethostname()})")
            self._beat = _Beat(rank, self._lost)

    def all(self, value: T) -> list[T]:
        found: list[Any] = [None] * self.size
        with self._unbroken():
            dist.all_gather_object(found, value)
        return found

    def first(self, value: T) -> T:
        box = [value]
        with self._unbroken():
            dist.broadcast_object_list(box, src=0, device=torch.device("cpu"))
        return box[0]

    def total(self, numbers: Sequence[float]) -> list[float]:
        summed = torch.tensor(numbers, dtype=torch.float64)
        with self._unbroken():
            dist.all_reduce(summed)
        return summed.tolist()

    def same(self, what: str, value: object) -> None:
        found = self.all(value)
        if other := [self._hosts[rank] for rank, one in enumerate(found) if one != found[0]]:
            raise JobError(
                f"{what} differ between the machines that train together, {self._hosts[0]} and {other[0]}; give all of "
                "them the same config, the same files and the same versions"
            )

    def sum_up(self, parameters: Sequence[Any]) -> None:
        there = self.total([float(one.grad is not None) for one in parameters])
        for bucket in _buckets([one for one, count in zip(parameters, there, strict=True) if count]):
            grads = [torch.zeros_like(one) if one.grad is None else one.grad for one in bucket]
            flat = torch.cat([one.reshape(-1).float() for one in grads])
            with self._unbroken():
                dist.all_reduce(flat)
            pieces = flat.split([one.numel() for one in grads])
            for one, grad, piece in zip(bucket, grads, pieces, strict=True):
                grad.copy_(piece.view_as(grad))
                one.grad = grad

    @torch.no_grad()
    def like_first(self, tensors: Sequence[Any]) -> None:
        for one in tensors:
            whole = one.detach().contiguous()
            with self._unbroken():  # as bytes: not every backend knows every kind of number
                dist.broadcast(whole.view(-1).view(torch.uint8), src=0)
            one.copy_(whole)

    def join(self, whole: Any, share: Any) -> None:
        with self._unbroken():
            dist.all_gather_single(whole, share)

    @contextmanager
    def own_numbers(self) -> Generator[None]:
        """As said there. What all have in common is alone kept in checkpoints: any number of processes takes it up."""
        seed = int(torch.randint(2**62, ()))
        common = RandomState.now()
        torch.manual_seed(seed + self.rank)
        try:
            yield
        finally:
            common.restore()

    @contextmanager
    def one_a_machine(self) -> Generator[None]:
        if self._rank.local:
            self.wait()
        yield
        if not self._rank.local:
            self.wait()

    def carry(self, files: Sequence[Path], to: Path | None) -> None:
        names = self.first([(file.name, file.stat().st_size) for file in files] if self.is_first else [])
        for place, (name, size) in enumerate(names):
            read = files[place].read_bytes() if self.is_first else bytes(size)
            content = torch.frombuffer(bytearray(read), dtype=torch.uint8)
            with self._unbroken():
                dist.broadcast(content, src=0)
            if to:
                (to / name).write_bytes(content.numpy().tobytes())

    def copies(self, name: str) -> list[int]:
        """The processes that name the same as this one."""
        return [rank for rank, other in enumerate(self.all(name)) if other == name]

    def wait(self) -> None:
        """Until everybody is here."""
        self.total([0.0])

    def leave(self) -> None:
        with suppress(LostProcessError):  # what was to be done together is done
            self.wait()
        self._beat.end()
        dist.destroy_process_group()

    @contextmanager
    def _unbroken(self) -> Generator[None]:
        try:
            yield
        except (RuntimeError, TimeoutError) as error:
            others = sorted({host for host in self._hosts if host != self._hosts[self.rank]})
            where = f", on {' or '.join(others)}," if others else ""
            raise LostProcessError(f"the connection to another process of the training{where} broke") from error

    def _lost(self, rank: int | None) -> str:
        who = f"process {rank + 1} of {self.size}, on {self._hosts[rank]}," if rank is not None else _STORE
        return f"{who} has not been heard of for {LOST_SECONDS:.0f} s"


class _Beat:
    """Says every few seconds that this process lives, and looks whether the others do; ends it where one does not."""

    def __init__(self, rank: Rank, words: Callable[[int | None], str]) -> None:
        host, port = rank.address
        self._rank, self._words = rank, words
        self._store = TCPStore(host, port, is_master=False, timeout=timedelta(seconds=LOST_SECONDS / 2))
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True, name="beat")
        self._thread.start()

    def end(self) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        keys = [f"ftspace/beat/{rank}" for rank in range(self._rank.size)]
        heard: dict[str, tuple[bytes, float]] = dict.fromkeys(keys, (b"", time.monotonic()))
        met, number = time.monotonic(), 0
        while not self._over.wait(BEAT_SECONDS):
            now, number = time.monotonic(), number + 1
            try:
                self._store.set(keys[self._rank.rank], str(number))
                for key in keys:
                    said = self._store.get(key) if self._store.check([key]) else b""
                    if said != heard[key][0]:
                        heard[key] = said, now
                met = now
            except (RuntimeError, TimeoutError):
                pass
            late = [rank for rank, key in enumerate(keys) if now - heard[key][1] > LOST_SECONDS]
            if self._over.is_set():
                return
            if now - met > LOST_SECONDS:
                self._give_up(None)
            elif late:
                self._give_up(late[0])

    def _give_up(self, lost: int | None) -> None:
        said = self._words(lost)
        log.error("%s", said)
        leave_word(self._rank, said)
        os._exit(LOST)


def leave_word(rank: Rank, message: str) -> None:
    """Says why this process ends where torchrun's agent reads it; the first word stays."""
    if rank.error_file and not Path(rank.error_file).exists():
        text = json.dumps({"message": {"message": message, "extraInfo": {"timestamp": int(time.time())}}})
        Path(rank.error_file).write_text(text, encoding="utf-8")


def _buckets(parameters: Sequence[torch.nn.Parameter]) -> Generator[list[torch.nn.Parameter]]:
    """Parameters of one number format and device, up to BUCKET_BYTES together."""
    kinds: dict[Any, list[torch.nn.Parameter]] = {}
    for one in parameters:
        kinds.setdefault((one.dtype, one.device), []).append(one)
    for kind in kinds.values():
        bucket: list[torch.nn.Parameter] = []
        for one in kind:
            if bucket and sum(other.nbytes for other in bucket) + one.nbytes > BUCKET_BYTES:
                yield bucket
                bucket = []
            bucket.append(one)
        yield bucket
