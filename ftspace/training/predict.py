"""What a train job knows of itself before its first step: whether memory suffices, how long it will take.

Knows the machine, and the run's rows in tokens; the arithmetic is forecast.py's. Measures the machine when nobody has.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from evals.errors import EvalError
from evals.models import pick_device
from ftspace.config import RunConfig
from ftspace.data.split import Split
from ftspace.devices import USABLE, Device, this_machine
from ftspace.errors import FtspaceError, ModelError
from ftspace.runs import Run
from ftspace.supervision import IGNORED
from ftspace.training.calibrate import calibrate
from ftspace.training.facts import SAMPLE, Facts
from ftspace.training.forecast import estimated
from ftspace.training.recipe import Choice, Recipe
from ftspace.training.shape import read_shape
from ftspace.training.sharding import sharding


@dataclass(frozen=True)
class Foreseen:
    """A run before its first step."""

    recipe: Recipe
    """As it is trained: with gradient checkpointing where memory asks for it."""
    shard: Choice[bool]
    """Whether the base is divided over the processes."""
    told: dict[str, Any]
    """The fields of `Prepared` that are predicted; none for a model whose shape cannot be told."""


def machine(run: Run) -> Device:
    """This machine with the memory that is free now: to be asked before the base takes its part. Raises ModelError."""
    data_dir = run.path.parent.parent
    try:
        kind = pick_device(run.config.train.device).type
    except EvalError as error:
        raise ModelError(str(error)) from error
    if kind == "cpu":
        calibrate(data_dir)
    here = this_machine(data_dir, device=kind)
    if kind != "cuda":
        return here
    free, _ = torch.cuda.mem_get_info()
    return replace(here, kind=kind, memory=int(free * USABLE))


def foresee(
    run: Run,
    recipe: Recipe,
    rows: Any,
    counts: Mapping[Split, int],
    untrained: int,
    here: Device,
    *,
    processes: int = 1,
) -> Foreseen:
    """What memory asks of the recipe, and what the run will take with it.

    Args:
        run: the run.
        recipe: as it is chosen without a look at the memory.
        rows: its training rows, a dataset of `input_ids` and `labels`.
        counts: rows of each split.
        untrained: tokens whose rows are trained.
        here: the machine as it was before the base was loaded.
        processes: how many train together.
    """
    config: RunConfig = run.config
    try:
        shape = read_shape(config.model)
    except FtspaceError:
        return Foreseen(recipe, sharding(config, processes, needs=0, has=here.memory), {})
    facts = Facts(shape, _lengths(rows), {**counts, "train": len(rows)}, questions=0, untrained=untrained)
    found = estimated(config, facts, here, recipe, processes=processes)
    told = {
        "predicted_bytes": found.memory.total,
        "predicted_seconds": found.time["training"] + found.time.get("validation", 0.0),
        "step_flops": found.step_flops,
    }
    return Foreseen(found.recipe, found.shard, told)


def _lengths(rows: Any) -> list[tuple[int, int]]:
    """Tokens and trained tokens of the first rows and of the longest, which one pass must hold."""
    lengths = np.concatenate([chunk.value_lengths().to_numpy() for chunk in rows.data.column("input_ids").chunks])
    few = rows.select(sorted({*range(min(SAMPLE, len(rows))), int(lengths.argmax())})).to_dict()
    return [
        (len(ids), len(labels) - labels.count(IGNORED))
        for ids, labels in zip(few["input_ids"], few["labels"], strict=True)
    ]
