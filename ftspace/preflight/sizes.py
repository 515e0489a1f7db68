"""The lines of what a run takes: memory for training and for asking, room on the disks, time and money. Estimated.

Nothing is loaded: the model's config.json, the headers of its weights and the first rows say it.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ftspace.budgets import budget_of
from ftspace.checks import Check
from ftspace.config import RunConfig
from ftspace.data.formats import Conversation
from ftspace.data.split import Split
from ftspace.errors import FtspaceError, ModelError
from ftspace.launchers.processes import processes_of
from ftspace.preflight.hub_job import is_hub_job, sizes_there
from ftspace.preflight.rows import ROWS
from ftspace.settings import resolve_local
from ftspace.weights import INDEX, WHOLE, share_there

if TYPE_CHECKING:
    from ftspace.devices import Device
    from ftspace.training.facts import Facts
    from ftspace.training.forecast import Estimated

STATE_BYTES = 12
"""Of a trained parameter in a checkpoint: itself and the optimizer's two numbers, in float32."""
ANSWER_BYTES = 4_000
"""Of a question asked of one side, on the disk."""
_SAID = ("config.json", INDEX, WHOLE)
"""Files by which a base is found in the cache."""


@dataclass(frozen=True)
class _Sized:
    config: RunConfig
    facts: "Facts"
    here: "Device"
    found: "Estimated"
    counted: bool
    """Whether the number of rows is known, so that a time can be said."""


def look_at_sizes(
    config: RunConfig,
    conversations: Sequence[Conversation],
    splits: dict[Split, int] | None,
    runs_dir: Path,
    doubts: Sequence[str] = (),
) -> list[Check]:
    """The lines of room, memory, device and what else the run takes; none where the model's shape cannot be known."""
    from ftspace.devices import device_of_run
    from ftspace.training.facts import facts_of
    from ftspace.training.forecast import estimated

    rows: dict[Split, int] = splits or {"train": ROWS, "validation": ROWS, "test": ROWS}
    try:
        facts = facts_of(config, conversations, rows, doubts)
    except ModelError:
        return []
    if is_hub_job(config):
        return sizes_there(config, facts, runs_dir.parent, counted=splits is not None)
    here = device_of_run(config.launch.launcher, runs_dir.parent, device=config.train.device)
    together = processes_of(config) * config.launch.nnodes
    sized = _Sized(config, facts, here, estimated(config, facts, here, processes=together), splits is not None)
    return [_disk(sized, runs_dir), *_memory(sized), _device(sized), *_reference(sized)]


def _reference(sized: _Sized) -> list[Check]:
    """How often a model behind an endpoint is asked: it may be a paid one."""
    asked, questions = sized.config.eval, sized.facts.questions
    if asked.reference is None or not questions:
        return []
    from evals.endpoint import Limits  # its HTTP client takes a while to import

    address, _, model = asked.reference.partition("#")
    most = questions * (1 + Limits().retries)
    said = (
        f"{model} at {urlsplit(address).hostname} is asked up to {questions:,} questions, with answers of up to "
        f"{asked.max_new_tokens:,} tokens; one that fails is asked again, so it may be up to {most:,} calls"
    )
    return [Check("ok", "reference", said)]


def _memory(sized: _Sized) -> list[Check]:
    from ftspace.training.forecast import advise, gigabytes

    found, here = sized.found, sized.here
    needs = [("memory", "training", found.memory.total)]
    if found.asking:
        needs.append(("evaluation memory", "evaluation", found.asking))
    advice = "; ".join(advise(sized.config, sized.facts, here, found))
    checks: list[Check] = []
    for what, job, peak in needs:
        said = f"the {job} is estimated to need {gigabytes(peak)} of memory, and {gigabytes(here.memory)} are free"
        checks.append(Check("ok", what, said) if peak <= here.memory else Check("warning", what, said, advice))
    return checks


def _device(sized: _Sized) -> Check:
    from ftspace.devices import price_here
    from ftspace.estimation import minutes

    config, here, seconds = sized.config, sized.here, sized.found.seconds
    if config.launch.launcher == "zerogpu":
        return _leases(sized)
    name = "the GPU of this machine" if here.kind == "cuda" else f"the processor of this machine, {here.cores} cores"
    if config.train.device == "cuda" and here.kind == "cpu":
        said = "train.device is cuda, and no GPU is found on this machine"
        return Check("warning", "device", said, "set train.device to auto, or run it where a GPU is")
    if not sized.counted:
        return Check("ok", "device", name)
    price = config.train.price_per_hour or price_here(device=config.train.device)
    cost = f", which cost {price * seconds / 3600:.2f} at {price:g} an hour" if price else ""
    rough = "" if here.measured else "; how fast it is was guessed, the first run measures it"
    said = f"{name}; the run takes about {minutes(seconds)}{cost}{rough}"
    budget, training = budget_of(config.train), sized.found.time["training"]
    if budget and budget.seconds < training:
        said += f"; its training, estimated at {minutes(training)}, is stopped after {budget.said}"
        return Check("warning", "device", said, "raise it, or train fewer steps, if all rows are to be learnt from")
    return Check("ok", "device", said)


def _leases(sized: _Sized) -> Check:
    """How many leases of ZeroGPU's GPU a run takes, before any is asked for."""
    from ftspace.estimation import minutes
    from ftspace.training.leases import leases_of

    each = sized.config.launch.lease_seconds
    if not sized.counted:
        return Check("ok", "device", f"ZeroGPU, in leases of {each} s")
    found = leases_of(sized.found, each)
    if found is None:
        said = f"a lease of {each} s of ZeroGPU is over before the model is loaded and a step is made"
        return Check("warning", "device", said, "raise launch.lease_seconds, or take a smaller model")
    many = "one lease" if found.count == 1 else f"about {found.count} leases"
    said = f"ZeroGPU; the run takes {many} of {each} s, up to {minutes(found.total)} of GPU time"
    return Check("ok", "device", f"{said}; where a day's are used up it goes on when there is more")


def _disk(sized: _Sized, runs_dir: Path) -> Check:
    from ftspace.training import estimate
    from ftspace.training.forecast import gigabytes

    config, facts = sized.config, sized.facts
    trained = estimate.trainable(facts.shape, config, facts.untrained)
    kept = config.train.save_total_limit + 2  # the best one, and the one that is being written
    own = trained * (STATE_BYTES * kept + 4) + facts.questions * config.eval.sides * ANSWER_BYTES
    cache, fetched = _to_fetch(config, facts.shape.parameters * estimate.BYTES.get(facts.shape.dtype, 2.0))
    free, free_there = _free(runs_dir), _free(cache)
    together = _disk_of(runs_dir) == _disk_of(cache)
    said = f"the run writes up to {gigabytes(own)}, and {gigabytes(free)} are free"
    if fetched:
        where = "the same disk" if together else f"the Hub's cache, where {gigabytes(free_there)} are free"
        said += f"; the base of {gigabytes(fetched)} is fetched to {where}"
    short = own + fetched > free if together else own > free or fetched > free_there
    if short:
        fix = (
            "make room (ftspace runs gc), name another folder with --data-dir or FTSPACE_DATA, or HF_HOME for the base"
        )
        return Check("stop", "disk", said, fix)
    return Check("ok", "disk", said)


def _to_fetch(config: RunConfig, size: float) -> tuple[Path, float]:
    """The Hub's cache, and bytes of the base's weights that are not there yet."""
    from huggingface_hub import constants, try_to_load_from_cache

    cache = Path(constants.HF_HUB_CACHE)
    if resolve_local(config.model.id) is not None:
        return cache, 0.0
    found = (try_to_load_from_cache(config.model.id, name, revision=config.model.revision) for name in _SAID)
    folder = next((Path(path).parent for path in found if isinstance(path, str)), None)
    return cache, size * (1 - share_there(folder)) if folder else size


def _free(path: Path) -> int:
    found = os.statvfs(_there(path))
    return found.f_bavail * found.f_frsize


def _disk_of(path: Path) -> int:
    return _there(path).stat().st_dev


def _there(path: Path) -> Path:
    """The nearest folder above that is there."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def room(runs_dir: Path) -> list[Check]:
    """The stop of a disk on which no run can be made; nothing where it can."""
    from ftspace.jobs import require_space

    try:
        require_space(runs_dir)
    except FtspaceError as error:
        return [Check.stop("disk", error)]
    return []
