"""One of two processes that train runs one after the other, their base divided between them: test_sharded starts it.

`python -m tests.training.sharded RANK WORD PORT:RUN_DIR:SETTINGS...`, the settings being in JSON arguments of `Look`
and `memory`, bytes that the first process takes its device to have.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from ftspace.errors import MemoryGoneError
from ftspace.runs import Run
from ftspace.settings import Rank
from ftspace.training import predict
from ftspace.training.group import Group
from ftspace.training.shards import Shards, held_bytes
from ftspace.training.worker import train
from ftspace.workers import Job, SilentJob


class Look(TrainerCallback):
    """Writes down what this process holds and does; stops the run, or lets memory run out, where it is told to."""

    def __init__(self, run: Run, rank: int, *, stop: int = 0, refuses: list[Any] | None = None) -> None:
        """`stop`: the step at whose beginning a stop is asked for.

        `refuses`: a rank, a layer, what it does then (train, validate or ask), whether on the way back, from which step
        on, and the tokens of a pass that are too many for it; to answer with them is too much only once.
        """
        self.run, self.rank, self.stop, self.refuses = run, rank, stop, refuses
        self.refused, self.step, self.tokens = 0, 0, 0
        self.held = self.whole = 0
        self.added: list[int] = []

    def begin(self, shards: Shards, parts: int, *, training: bool) -> int:
        """`Shards.begin`, with the parts without weight written down."""
        self.added.append(_begin(shards, parts, training=training))
        return self.added[-1]

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        base = kwargs["model"].get_base_model()
        self.held, self.whole = held_bytes(base)
        if not self.refuses or self.refuses[0] != self.rank:
            return
        _, layer, when, back, since, most = self.refuses
        module = base.model.layers[layer].mlp

        def refuse(*_: Any) -> None:
            now = "train" if module.training else "ask" if torch.is_inference_mode_enabled() else "validate"
            enough = now == "ask" and self.refused > 0
            if now == when and self.step >= since and self.tokens > most and not enough:
                self.refused += 1
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

        base.get_input_embeddings().register_forward_pre_hook(self.count)
        (module.register_full_backward_pre_hook if back else module.register_forward_pre_hook)(refuse)

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.step = state.global_step + 1
        if self.step == self.stop:
            self.run.stop_flag.touch()

    def count(self, embedding: Any, given: Any) -> None:
        """The tokens of the pass that has begun."""
        self.tokens = given[0].numel()

    def write(self, ended: str) -> None:
        """What was seen, in the run's folder."""
        seen = {"held": self.held, "whole": self.whole, "refused": self.refused, "added": self.added, "ended": ended}
        (self.run.path / f"look{self.rank}.json").write_text(json.dumps(seen), encoding="utf-8")


_begin = Shards.begin


def main(rank: int, word: str, whats: list[str]) -> None:
    """Trains one run after the other."""
    torch.set_num_threads(1)
    for what in whats:
        port, folder, settings = what.split(":", 2)
        run = Run(Path(folder))
        given = json.loads(settings)
        here, memory = predict.machine(run), given.pop("memory", None)
        here = replace(here, memory=memory if memory and not rank else 2**40)
        predict.machine = lambda run, here=here: here
        look = Look(run, rank, **given)
        Shards.begin = lambda *args, look=look, **kwargs: look.begin(*args, **kwargs)
        group = Group(Rank(rank, 2, 0, rank, ("127.0.0.1", int(port)), word))
        job = SilentJob(run, "train", print) if rank else Job(run, "train")
        try:
            look.write(train(job, callbacks=[look], group=group))
        except MemoryGoneError as error:
            look.write(str(error))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3:])
