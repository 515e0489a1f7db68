"""What a scheduler is asked for: machines, GPUs, time, and the run with the files of this machine that it names. Pure
but for the look at the files.

The time is three times the estimate, and never under half an hour: a job that is ended by its scheduler has lost more
than one that ends early.
"""

import math
import re
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ftspace.config import RunConfig, anchor, parse_config
from ftspace.devices import TABLE, Device
from ftspace.errors import ConfigError, FtspaceError
from ftspace.launching import LaunchConfig
from ftspace.redact import redact
from ftspace.runs import RunStore, is_run_id
from ftspace.training.facts import find_facts
from ftspace.training.forecast import estimated
from ftspace.words import clipped, short

TIMES, FEWEST_MINUTES = 3.0, 30.0
"""Of the estimate, and at least, what a job may take."""
_LISTS = ("tasks", "forgetting", "earlier", "judges")


@dataclass(frozen=True)
class Job:
    """A run as a scheduler takes it."""

    run_id: str
    """The id that the run will have there."""
    name: str
    config: RunConfig
    nodes: int
    gpus: int
    """On each machine; 0 trains on the processor."""
    device: Device | None
    """The kind of GPU; None for the processor."""
    minutes: int
    estimate: float | None
    """Minutes as estimated; None where a person said how long."""

    @property
    def yaml(self) -> str:
        """The config's YAML, in which nothing looks like a secret."""
        return redact(self.config.to_yaml())


@dataclass(frozen=True)
class Wanted:
    """What a person said of a job; None for what is to be found out."""

    nodes: int | None = None
    gpus: int | None = None
    device: str | None = None
    minutes: float | None = None


def job_of(config: RunConfig, wanted: Wanted, store: RunStore) -> Job:
    """The job of a config. Raises ConfigError for what cannot be asked for, and where nothing says how long it takes.

    Runs that the config names become the folders of their adapters.
    """
    launch = config.launch
    on_cpu = config.train.device == "cpu"
    nodes = wanted.nodes if wanted.nodes is not None else launch.nnodes
    gpus = wanted.gpus if wanted.gpus is not None else 0 if on_cpu else launch.processes or 1
    if nodes < 1 or gpus < 0:
        raise ConfigError(f"{nodes} machines with {gpus} GPUs each cannot be asked for")
    if gpus and on_cpu:
        raise ConfigError("train.device is cpu, so GPUs are of no use; leave --gpus out, or set train.device to auto")
    plain = config.model_copy(update={"launch": LaunchConfig()})
    found = _with_folders(anchor(plain), store)
    device, estimate = _device_of(found, wanted, gpus)
    minutes = wanted.minutes or launch.timeout_minutes
    if minutes is None and estimate is None:
        raise ConfigError("how long the run takes is not known here; say it with --minutes")
    asked = minutes if minutes is not None else max(FEWEST_MINUTES, TIMES * (estimate or 0))
    return Job(
        run_id=f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(6)}",
        name=_name(found),
        config=found,
        nodes=nodes,
        gpus=gpus,
        device=device,
        minutes=math.ceil(asked),
        estimate=None if wanted.minutes else estimate,
    )


def local_files(config: RunConfig) -> list[Path]:
    """The files and folders of this machine that an anchored config names; what the project brings is none of them."""
    found = [Path(name) for name in _names(config) if Path(name).is_absolute()]
    return [path for path in dict.fromkeys(found) if path.exists()]


def moved(config: RunConfig, places: dict[str, str]) -> RunConfig:
    """The config with other names in the place of those that it has."""

    def new(name: str | None) -> str | None:
        return None if name is None else places.get(name, name)

    values = config.model_dump(mode="json")
    for section, field in (("model", "id"), ("data", "id"), ("data", "review"), ("lora", "start_from")):
        values[section][field] = new(values[section][field])
    values["eval"]["embedding_model"] = new(values["eval"]["embedding_model"])
    for field in _LISTS:
        values["eval"][field] = [new(one) for one in values["eval"][field]]
    return parse_config(values)


def _names(config: RunConfig) -> Iterator[str]:
    asked = config.eval
    single = (config.model.id, config.data.id, config.data.review, config.lora.start_from, asked.embedding_model)
    yield from (one for one in (*single, *(one for name in _LISTS for one in getattr(asked, name))) if one)


def _with_folders(config: RunConfig, store: RunStore) -> RunConfig:
    """Runs of this machine are unknown elsewhere: in their place stand their adapters."""
    places: dict[str, str] = {}
    for name in filter(is_run_id, _names(config)):
        run = store.get(name)
        if not run.adapter.is_dir():
            raise ConfigError(f"run {name}, which the config names, has no adapter that could be taken along")
        places[name] = str(run.adapter)
    return moved(config, places) if places else config


def _device_of(config: RunConfig, wanted: Wanted, gpus: int) -> tuple[Device | None, float | None]:
    """The kind of GPU, by itself the smallest that the run fits on, and the estimate in minutes on one of them."""
    if not gpus:
        return None, None
    named = next((one for one in TABLE if wanted.device and one.name.lower() == wanted.device.lower()), None)
    if wanted.device and named is None:
        raise ConfigError(f"--device {wanted.device}: known are {', '.join(one.name for one in TABLE)}")
    try:
        facts = find_facts(config)
    except FtspaceError as error:
        if named is None or wanted.minutes is None:
            raise ConfigError(f"{error}; to export all the same, give --device and --minutes") from error
        return named, None
    for device in (named,) if named else TABLE:
        found = estimated(config, facts, device)
        if named or found.peak <= device.memory:
            return device, found.seconds / 60
    raise ConfigError("the run fits on none of the GPUs that are known; see: ftspace estimate")


def _name(config: RunConfig) -> str:
    """A name that every scheduler takes: letters, digits and dashes."""
    text = clipped(short(config.model.id).rpartition("/")[2], 20) + "-" + clipped(short(config.data.id), 20)
    return "ftspace-" + re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
