"""What a train job says of itself before its first step: the estimate, made with what the job knows exactly.

Knows the run and its rows in tokens; measures the machine when nobody has.
"""

from collections.abc import Mapping
from typing import Any

from ftspace.config import RunConfig
from ftspace.data.split import Split
from ftspace.devices import this_machine
from ftspace.errors import FtspaceError
from ftspace.runs import Run
from ftspace.supervision import IGNORED
from ftspace.training.calibrate import calibrate
from ftspace.training.estimate import needs_checkpointing
from ftspace.training.facts import SAMPLE, Facts
from ftspace.training.forecast import estimated
from ftspace.training.recipe import micro_batch_tokens
from ftspace.training.shape import read_shape


def memory_asks(run: Run) -> bool:
    """Whether the machine as it is now has too little memory to train without gradient checkpointing."""
    config: RunConfig = run.config
    here = this_machine(run.path.parent.parent, device=config.train.device)
    try:
        shape = read_shape(config.model)
    except FtspaceError:
        return False
    passes = config.train.micro_batch_tokens or micro_batch_tokens(here.kind, here.memory).value
    return needs_checkpointing(shape, config, passes, here.memory, kind=here.kind)


def predict(run: Run, rows: Any, counts: Mapping[Split, int], untrained: int, device: str) -> dict[str, Any]:
    """The fields of `Prepared` that are predicted; none for a model whose shape cannot be told.

    Args:
        run: the run.
        rows: its training rows, a dataset of `input_ids` and `labels`.
        counts: rows of each split.
        untrained: tokens whose rows are trained.
        device: cpu, cuda or mps.
    """
    config: RunConfig = run.config
    data_dir = run.path.parent.parent
    try:
        shape = read_shape(config.model)
    except FtspaceError:
        return {}
    if device == "cpu":
        calibrate(data_dir)
    few = rows.select(range(min(SAMPLE, len(rows)))).to_dict()
    lengths = [
        (len(ids), len(labels) - labels.count(IGNORED))
        for ids, labels in zip(few["input_ids"], few["labels"], strict=True)
    ]
    facts = Facts(shape, lengths, dict(counts), questions=0, untrained=untrained)
    found = estimated(config, facts, this_machine(data_dir, device=device))
    return {
        "predicted_bytes": found.memory.total,
        "predicted_seconds": found.time["training"] + found.time.get("validation", 0.0),
        "step_flops": found.step_flops,
    }
