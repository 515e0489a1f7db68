"""What a run will take on this machine, before it: minutes, memory, money and questions. Knows no gradio and no torch.

The arithmetic is training/forecast.py's, from the model's headers and the dataset's first rows, which are looked at
once for each choice. What runs like it took here before corrects the time.
"""

import statistics
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from threading import Lock

from ftspace import forecasts
from ftspace.budgets import budget_of
from ftspace.config import RunConfig
from ftspace.devices import HERE, PRICED, ZERO_GPU, Device, price_here, processor_name, this_machine
from ftspace.errors import ConfigError, FtspaceError
from ftspace.hub.jobs.flavors import flavor_named, machine_of, offered
from ftspace.hub.jobs.reckoning import reckon
from ftspace.launchers.processes import processes_of
from ftspace.runs import RunStore
from ftspace.sections import EvalConfig
from ftspace.training.facts import Facts, find_facts, questions_of
from ftspace.training.forecast import Estimated, estimated, gigabytes
from ftspace.training.leases import Leases, leases_of
from ftspace.training.recipe import Work, explain

ROUGH = 2.0
"""How far off the time may be, either way, where this machine was not measured."""
_SECONDS = 60
"""After so long the machine's free memory is looked at again."""
_KEPT = 32
"""Choices whose facts are remembered."""
_AGAIN = 20.0
"""Seconds after which what could not be found is looked for again, and what runs took."""
_RUNS = 100
"""Newest runs among which alike ones are looked for."""
_OFF = (0.2, 8.0)
"""Times that what runs took is at most taken to be off the estimate."""


@dataclass(frozen=True)
class Outlook:
    """What one config will take."""

    seconds: float
    """From Start to the results."""
    training: float
    asking: float
    """Seconds of the evaluation; 0 where nothing is asked."""
    needs: int
    """Peak bytes."""
    has: int
    """Bytes that are free."""
    steps: int
    questions: int
    """Of all tasks, asked of each side."""
    sides: int
    cost: float | None = None
    """In the money of the price; None where there is no price."""
    like: int = 0
    """So many runs like it corrected the time."""
    leases: Leases | None = None
    """Of a GPU that is lent, where the run has one."""
    rough: bool = False
    """Whether the machine was not measured yet, so that the time is a guess."""
    flavor: str = ""
    """The Hub's machine that it is reckoned for, its setting up included; "" for this one."""

    @property
    def fits(self) -> bool:
        """Whether memory is enough."""
        return self.needs <= self.has


@dataclass(frozen=True)
class Guess:
    """What a run will choose for a field that is left open, and why."""

    value: str
    why: str


@dataclass(frozen=True)
class _Off:
    """What runs like it took here, over what is estimated of them."""

    training: float = 1.0
    asking: float = 1.0
    runs: int = 0


class Outlooks:
    """One app's estimates. Any thread may call."""

    def __init__(self, store: RunStore, find: Callable[[RunConfig], Facts] = find_facts) -> None:
        """For runs of a store, whose finished ones it learns from."""
        self._store, self._find = store, find
        self._data_dir = store.runs_dir.parent
        self._facts: OrderedDict[tuple[str, ...], tuple[float, Facts | FtspaceError]] = OrderedDict()
        self._offs: OrderedDict[tuple[str, ...], tuple[float, _Off]] = OrderedDict()
        self._lock = Lock()

    def knows(self, config: RunConfig, who: str) -> bool:
        """Whether nothing has to be read for an estimate."""
        return self._kept(_key(config, who)) is not None

    def facts(self, config: RunConfig, who: str) -> Facts:
        """What is known of the model and the rows. Raises FtspaceError, for some time the same without another look.

        `who` is asking: what a model behind a gate looks like is not told to others.
        """
        key = _key(config, who)
        found = self._kept(key)
        if found is None:
            try:
                found = self._find(config)
            except FtspaceError as error:
                found = error
            with self._lock:
                self._facts[key] = (time.monotonic(), found)
                while len(self._facts) > _KEPT:
                    self._facts.popitem(last=False)
        if isinstance(found, FtspaceError):
            raise found
        return found

    def _kept(self, key: tuple[str, ...]) -> Facts | FtspaceError | None:
        with self._lock:
            moment, found = self._facts.get(key, (0.0, None))
        stale = isinstance(found, FtspaceError) and time.monotonic() - moment > _AGAIN
        return None if stale else found

    def of(self, config: RunConfig, who: str) -> Outlook:
        """What a config will take here. Raises FtspaceError where that cannot be told."""
        facts = self._of(config, who)
        if config.launch.launcher == "hf-jobs":
            return self._there(config, facts)
        device = self._device_of(config)
        found = estimated(config, facts, device, processes=processes_of(config) * config.launch.nnodes)
        off = self._off(config, facts, device, who)
        training = off.training * (found.time["start"] + found.time["training"] + found.time.get("validation", 0.0))
        budget = budget_of(config.train)
        if budget is not None:
            training = min(training, off.training * found.time["start"] + budget.seconds)
        asking = off.asking * found.time.get("comparison", 0.0)
        lent = config.launch.launcher == "zerogpu"
        price = config.train.price_per_hour or (None if lent else price_of(config.train.device))
        return Outlook(
            seconds=training + asking,
            training=training,
            asking=asking,
            needs=found.peak,
            has=device.memory,
            steps=found.steps,
            questions=facts.questions,
            sides=config.eval.sides,
            cost=price * (training + asking) / 3600 if price else None,
            like=off.runs,
            leases=leases_of(found, config.launch.lease_seconds) if lent else None,
            rough=not device.measured and not off.runs,
        )

    def _there(self, config: RunConfig, facts: Facts) -> Outlook:
        """What a config will take as a job of the Hub. Raises ConfigError for a flavor that there is not."""
        taken = reckon(config, facts, flavor_named(config.launch.flavor, offered()), self._data_dir)
        asking = taken.found.time.get("comparison", 0.0)
        return Outlook(
            seconds=taken.seconds,
            training=taken.seconds - asking,
            asking=asking,
            needs=taken.found.peak,
            has=taken.memory,
            steps=taken.found.steps,
            questions=facts.questions,
            sides=config.eval.sides,
            cost=taken.dollars(taken.seconds),
            rough=True,
            flavor=taken.flavor.name,
        )

    def where(self, config: RunConfig) -> str:
        """What is reckoned for, in a sentence."""
        if config.launch.launcher != "hf-jobs":
            return where(self._device_of(config))
        try:
            flavor = flavor_named(config.launch.flavor, offered())
        except ConfigError:
            return ""
        price = f" An hour of it costs ${flavor.dollars_an_hour:.2f}." if flavor.dollars_an_hour else ""
        return f"Reckoned for a job of the Hub on {flavor.name}: {flavor.has}.{price}"

    def guesses(self, config: RunConfig, who: str) -> dict[str, Guess]:
        """What the run will choose where the config leaves it open, by dotted field name. Raises FtspaceError."""
        facts = self._of(config, who)
        device = self._device_of(config)
        found = estimated(config, facts, device, processes=processes_of(config) * config.launch.nnodes)
        mean = sum(length for length, _ in facts.lengths) / len(facts.lengths)
        asks = config.train.gradient_checkpointing is None and found.recipe.gradient_checkpointing
        work = Work(facts.shape.parameters, facts.rows["train"], mean, device.kind, device.memory, memory_asks=asks)
        reasons = vars(explain(config, work))
        said = {f"train.{name}": Guess(_value(one.value), one.why) for name, one in reasons.items() if not one.given}
        return said | _others(config, found, device)

    def _device_of(self, config: RunConfig) -> Device:
        """What a run will have: of this machine, lent, or of the Hub. Raises ConfigError for an unknown flavor."""
        match config.launch.launcher:
            case "hf-jobs":
                return machine_of(flavor_named(config.launch.flavor, offered()), self._data_dir).device
            case "zerogpu":
                return ZERO_GPU
            case "local":
                return self.here(config.train.device)

    def here(self, device: str = "auto") -> Device:
        """This machine as a run would use it, looked at once a minute."""
        return _device(self._data_dir, device, _moment(), _measured(self._data_dir))

    def _of(self, config: RunConfig, who: str) -> Facts:
        facts = self.facts(config, who)
        return replace(facts, questions=_questions(config, facts.rows["test"]))

    def _off(self, config: RunConfig, facts: Facts, device: Device, who: str) -> _Off:
        """How far runs like it were off, looked at anew after some seconds."""
        key = (*_key(config, who), config.train.device, str(_measured(self._data_dir)))
        with self._lock:
            moment, found = self._offs.get(key, (0.0, None))
        if found is None or time.monotonic() - moment > _AGAIN:
            found = self._looked(config, facts, device)
            with self._lock:
                self._offs[key] = (time.monotonic(), found)
                while len(self._offs) > _KEPT:
                    self._offs.popitem(last=False)
        return found

    def _looked(self, config: RunConfig, facts: Facts, device: Device) -> _Off:
        """How far the newest finished runs with the same model and rows were off."""
        trained: list[float] = []
        asked: list[float] = []
        for run in self._store.list()[:_RUNS]:
            past = forecasts.past_of(run)
            if past is None or past.took is None or (past.model, past.dataset) != (config.model.id, config.data.id):
                continue
            if not _alike(run.config, config):
                continue
            own = estimated(run.config, replace(facts, questions=_questions(run.config, facts.rows["test"])), device)
            comparison = own.time.get("comparison", 0.0)
            trained.append((past.took.seconds - past.took.after) / (own.seconds - comparison))
            if comparison and past.took.after:
                asked.append(past.took.after / comparison)
            if len(trained) == forecasts.ALIKE:
                break
        return _Off(_median(trained), _median(asked), len(trained))


def where(device: Device) -> str:
    """What is reckoned for, in a sentence."""
    if device.name != HERE:
        return f"Reckoned for {device.name}, which lends {gigabytes(device.memory)} of GPU memory."
    name = "the GPU of this machine" if device.kind == "cuda" else f"this machine, {_cores(device)}"
    what = f" ({processor_name()})" if device.kind == "cpu" else ""
    price = price_of("auto" if device.kind == "cuda" else device.kind)
    cost = f" An hour of it costs ${price:.2f}, by the list of {PRICED}." if price else ""
    return f"Reckoned for {name}{what}, with {gigabytes(device.memory)} of memory free now.{cost}"


@lru_cache(maxsize=4)
def price_of(device: str) -> float | None:
    """The list price of an hour of this machine, in dollars; None where none is known. The driver is asked once."""
    return price_here(device=device)


def _alike(past: RunConfig, config: RunConfig) -> bool:
    """Whether what is known of a config's rows is true of a past run's, too."""
    same = ("max_length", "truncation_side", "loss_on", "device")
    rows = all(getattr(past.train, name) == getattr(config.train, name) for name in same)
    data = {"review": None, "filters": []}
    return (
        rows
        and past.launch.launcher == config.launch.launcher
        and past.model.quantization == config.model.quantization
        and past.data.model_copy(update=data) == config.data.model_copy(update=data)
        and past.train.max_minutes is None
        and past.train.max_cost is None
    )


def _questions(config: RunConfig, test_rows: int) -> int:
    """How many questions the tasks ask; their files are read once a minute."""
    return _counted(config.eval.model_dump_json(include={"tasks", "forgetting", "max_samples"}), test_rows, _moment())


@lru_cache(maxsize=64)
def _counted(asked: str, test_rows: int, moment: int) -> int:
    return questions_of(RunConfig(eval=EvalConfig.model_validate_json(asked)), test_rows)


def _moment() -> int:
    return int(time.time() // _SECONDS)


def _key(config: RunConfig, who: str) -> tuple[str, ...]:
    """What the facts depend on."""
    train = config.train
    rows = (str(train.max_length), train.truncation_side, train.loss_on)
    return (who, config.model.model_dump_json(), config.data.model_dump_json(), *rows)


def _median(ratios: Sequence[float]) -> float:
    low, high = _OFF
    return min(high, max(low, statistics.median(ratios))) if ratios else 1.0


def _others(config: RunConfig, found: Estimated, device: Device) -> dict[str, Guess]:
    """What is chosen besides the recipe."""
    train, said = config.train, dict[str, Guess]()
    if train.max_steps is None:
        said["train.max_steps"] = Guess(f"{found.steps:,}", "as many as the epochs make")
    if config.model.dtype == "auto":
        said["model.dtype"] = Guess(found.dtype, "by the checkpoint and what this machine is fast at")
    if train.device == "auto":
        said["train.device"] = Guess(device.kind, "what this machine has")
    if train.checkpoint_steps is None:
        said["train.checkpoint_steps"] = Guess("every ten minutes", "and always at a stop")
    there = config.launch.launcher == "hf-jobs"
    if there and train.price_per_hour is None and device.dollars_an_hour:
        said["train.price_per_hour"] = Guess(f"{device.dollars_an_hour:g}", "by the price of its flavor, in dollars")
    if found.processes > 1 and not found.shard.given:
        said["launch.shard"] = Guess(_value(found.shard.value), found.shard.why)
    price = None if there else price_of(train.device)
    if train.price_per_hour is None and price:
        said["train.price_per_hour"] = Guess(f"{price:g}", f"by the list of {PRICED}, in dollars")
    return said


def _value(value: float | bool) -> str:
    return ("on" if value else "off") if isinstance(value, bool) else f"{value:g}"


def _cores(device: Device) -> str:
    return "1 core" if device.cores == 1 else f"{device.cores} cores"


def _measured(data_dir: Path) -> bool:
    """Whether the machine was measured: what was remembered before that is out of date then."""
    return (data_dir / "cache" / "machine.json").exists()


@lru_cache(maxsize=8)
def _device(data_dir: Path, device: str, moment: int, measured: bool) -> Device:
    return this_machine(data_dir, device=device)
