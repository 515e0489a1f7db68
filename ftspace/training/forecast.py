"""From a run's config and the facts to its peak memory, time and money on any device, with advice that was tried.

Knows no torch, no files and no screens. Each piece of advice is a change of the config whose estimate was made, too.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from pydantic import BaseModel, ConfigDict

from ftspace.config import RunConfig, merge, parse_config
from ftspace.devices import TABLE, Device
from ftspace.sections import PROMPTED
from ftspace.training import estimate
from ftspace.training.estimate import Memory
from ftspace.training.facts import Facts
from ftspace.training.passes import Tokens, profile
from ftspace.training.recipe import Choice, Recipe, Work, checkpointing, choose, steps_of
from ftspace.training.shape import Shape
from ftspace.training.sharding import divided, sharding

START_SECONDS = 12.0
"""Importing the libraries, reading the data; the evaluation's process takes as long again."""
LOADED_BYTES_A_SECOND = 1e9
"""Weights read from the disk."""
TOGETHER = 0.9
"""Share of the time of several GPUs that is left for steps (our own judgement: nobody has measured it here)."""
ANSWERS = 0.6
"""Of the longest answer allowed, what a batch of questions writes until the last one has ended, on average."""


class _Plain(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class OnDevice(_Plain):
    """What a run would take on one device."""

    device: str
    memory_bytes: int
    """What the device has for it."""
    peak_memory_bytes: int
    fits: bool
    seconds: float
    dollars: float | None
    """None where the device has no list price."""


class Probe(_Plain):
    """What the first steps of a run took."""

    steps: int
    peak_memory_bytes: int | None
    """None where it was not measured."""
    seconds_a_token: float
    start_seconds: float


class Forecast(_Plain):
    """What `estimate --json` prints."""

    model: str
    dataset: str
    device: str
    peak_memory_bytes: int
    seconds: float
    fits: bool
    advice: list[str]
    """What would make it fit or faster; each was estimated."""
    memory: dict[str, int]
    """The peak of the training by its parts, and that of the comparison, in bytes."""
    time: dict[str, float]
    """Seconds of the parts of the run."""
    parameters: int
    trainable_parameters: int
    steps: int
    step_seconds: float
    step_flops: float
    tokens: int
    """Of training, all passes over the rows together."""
    recipe: dict[str, bool | int | float]
    devices: list[OnDevice]
    doubts: list[str]
    """Why the estimate may be rough."""
    probe: Probe | None = None
    """What was measured, and used above, when first steps were made."""
    estimated_peak_memory_bytes: int | None = None
    estimated_seconds: float | None = None
    """What was estimated before that."""


@dataclass(frozen=True)
class Estimated:
    """One config on one device."""

    recipe: Recipe
    dtype: str
    tokens: Tokens
    memory: Memory
    asking: int
    """Peak bytes of the comparison; 0 when there is none."""
    steps: int
    step_seconds: float
    step_flops: float
    time: dict[str, float]
    shard: Choice[bool]
    """Whether the base is divided over the processes."""
    processes: int

    @property
    def peak(self) -> int:
        """Peak bytes of the run: its jobs come one after the other."""
        return max(self.memory.total, self.asking)

    @property
    def seconds(self) -> float:
        """Of the run."""
        return sum(self.time.values())


def forecast(config: RunConfig, facts: Facts, device: Device, others: Sequence[Device] = TABLE) -> Forecast:
    """The forecast of a run on `device`, with a line for it and each of the others."""
    found = estimated(config, facts, device)
    starts = config.lora.init != "default" or config.lora.method == "adalora"
    known = {
        f"how fast {device.name} is was guessed: the first run on it measures it": not device.measured,
        "the adapter's start is not counted, which may take memory and time of its own": starts,
        "the time in which processes send each other the layers is not counted": found.shard.value,
    }
    return Forecast(
        model=config.model.id,
        dataset=config.data.id,
        device=device.name,
        peak_memory_bytes=found.peak,
        seconds=round(found.seconds, 1),
        fits=found.peak <= device.memory,
        advice=advise(config, facts, device, found),
        memory={name: round(value) for name, value in asdict(found.memory).items()} | {"comparison": found.asking},
        time={name: round(value, 1) for name, value in found.time.items()},
        parameters=facts.shape.parameters,
        trainable_parameters=estimate.trainable(facts.shape, config, facts.untrained),
        steps=found.steps,
        step_seconds=round(found.step_seconds, 3),
        step_flops=found.step_flops,
        tokens=round(found.steps * found.recipe.batch_size * found.tokens.mean),
        recipe=asdict(found.recipe) | ({"shard": True} if found.shard.value else {}),
        devices=[_on(config, facts, one) for one in (device, *(one for one in others if one.name != device.name))],
        doubts=list(dict.fromkeys([*facts.doubts, *(doubt for doubt, holds in known.items() if holds)])),
    )


def estimated(
    config: RunConfig, facts: Facts, device: Device, recipe: Recipe | None = None, *, processes: int | None = None
) -> Estimated:
    """Memory and time of one config on one device, with the recipe chosen for it when none is given.

    Several `processes` (those that the config names when None) share each step, a GPU each; the memory is that of one
    of them. On a processor they share the cores that one would have used, so that nothing is gained or lost there.
    Where the config leaves gradient checkpointing open it is on in the result if memory asks for it.
    """
    shape, train = facts.shape, config.train
    dtype = training_dtype(shape, config, device.kind)
    lengths = list(facts.lengths)
    mean = sum(length for length, _ in lengths) / len(lengths)
    rows = facts.rows["train"]
    recipe = recipe or choose(config, Work(shape.parameters, rows, mean, device.kind, device.memory))
    batch = min(recipe.batch_size, rows)
    documents = train.packing and config.lora.method not in PROMPTED
    whole = 0 if documents else max(length for length, _ in lengths)
    kept = estimate.SQUARED.get(dtype, 0) if device.kind == "cpu" and not whole else 0
    tokens = profile(lengths, rows, batch, recipe.micro_batch_tokens, whole=whole, kept=kept)
    if train.gradient_checkpointing is None and not recipe.gradient_checkpointing:
        asks = estimate.needs_checkpointing(shape, config, tokens.peak, device.memory, kind=device.kind)
        recipe = replace(recipe, gradient_checkpointing=checkpointing(config, asked=asks).value)
    memory = estimate.memory(
        shape,
        config,
        kind=device.kind,
        dtype=dtype,
        checkpointing=recipe.gradient_checkpointing,
        tokens=tokens.peak,
        supervised=tokens.peak_supervised,
        squares=tokens.peak_squares,
        rows=facts.untrained,
    )
    together = processes or (config.launch.processes or 1) * config.launch.nnodes
    shard = sharding(config, together, needs=memory.total, has=device.memory)
    if shard.value:
        memory = divided(memory, shape, config, dtype, together)
    steps = steps_of(config, recipe, rows)
    work = estimate.step_work(shape, config, dtype, recipe, tokens, facts.untrained)
    step = estimate.seconds_of(work, device, dtype)
    if together > 1 and device.kind != "cpu":
        step /= together * TOGETHER
    start = START_SECONDS + estimate.weight_bytes(shape, config, dtype) / LOADED_BYTES_A_SECOND
    time = {"start": start, "training": steps * step}
    if facts.rows["validation"]:
        times = 1 + steps // train.validation_steps + (steps % train.validation_steps > 0)
        share = facts.rows["validation"] / recipe.batch_size / (3 if recipe.gradient_checkpointing else 2)
        time["validation"] = times * (step * share + _answering(config, facts, device, dtype, train.samples, mean))
    asking = 0
    if facts.questions:
        asking = estimate.evaluation_bytes(
            shape, config, device.kind, dtype, longest=tokens.longest, questions=facts.questions
        )
        time["comparison"] = start + config.eval.sides * _answering(config, facts, device, dtype, facts.questions, mean)
    return Estimated(recipe, dtype, tokens, memory, asking, steps, step, work.flops, time, shard, together)


def training_dtype(shape: Shape, config: RunConfig, kind: str) -> str:
    """The number format of the base's weights in training: bfloat16 where auto would find an adapter's in float16.

    What is small in a gradient is 0 in float16. The loss would have to be scaled, and the steps that overflow skipped.
    """
    found = estimate.compute_dtype(shape, config, kind)
    rounds = found == "float16" and config.model.dtype == "auto" and config.lora.method != "full"
    return "bfloat16" if rounds else found


def advise(config: RunConfig, facts: Facts, device: Device, found: Estimated) -> list[str]:
    """Changes that make a run fit, the cheapest first, each with its own estimate; or cheaper ways when it does fit."""
    if found.peak <= device.memory:
        return []
    changes: list[tuple[str, dict[str, Any]]] = [
        (f"set train.micro_batch_tokens to {tokens}", {"train": {"micro_batch_tokens": tokens}})
        for tokens in (4096, 2048, 1024, 512, 256)
        if tokens < found.recipe.micro_batch_tokens
    ]
    if not found.recipe.gradient_checkpointing and config.lora.method != "prefix_tuning":
        changes.append(("turn train.gradient_checkpointing on", {"train": {"gradient_checkpointing": True}}))
    if config.eval.batch_tokens > 1024:
        changes.append(("set eval.batch_tokens to 1024", {"eval": {"batch_tokens": 1024}}))
    if config.lora.method == "full":
        changes.append(("train a LoRA adapter: set lora.method to lora", {"lora": {"method": "lora"}}))
    elif config.model.quantization != "nf4" and config.lora.init not in ("pissa", "olora"):
        nf4: dict[str, Any] = {"model": {"quantization": "nf4"}, "launch": {"shard": None}}
        changes.append(("hold the base in 4 bits: set model.quantization to nf4", nf4))
    together: dict[str, Any] = {}
    words: list[str] = []
    for text, change in changes:
        together = merge(together, change)
        words = [one for one in words if one.split(" to ")[0] != text.split(" to ")[0]] + [text]
        for these, all_of_it in (([text], change), (words, together)):
            tried = estimated(_with(config, all_of_it), facts, device, processes=found.processes)
            if tried.peak <= device.memory:
                said = f"{' and '.join(these)}: it then needs {gigabytes(tried.peak)} and fits"
                return [said, *_alternative(config, facts, device, found.processes, changes[-1], these)]
    larger = [one for one in TABLE if estimated(config, facts, one, processes=found.processes).peak <= one.memory]
    if larger:
        return [f"take a larger device: it fits on {', '.join(one.name for one in larger)}"]
    return ["take a smaller model: with all that can be saved it fits on none of these devices"]


def _alternative(
    config: RunConfig, facts: Facts, device: Device, processes: int, last: tuple[str, dict[str, Any]], chosen: list[str]
) -> list[str]:
    """The last change by itself, which costs most but leaves the passes as large as they are."""
    text, change = last
    tried = estimated(_with(config, change), facts, device, processes=processes)
    if text in chosen or tried.peak > device.memory:
        return []
    return [f"or {text}: it then needs {gigabytes(tried.peak)} and fits"]


def gigabytes(count: float) -> str:
    """Bytes as a person says them."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def _on(config: RunConfig, facts: Facts, device: Device) -> OnDevice:
    found = estimated(config, facts, device)
    price = device.dollars_an_hour
    return OnDevice(
        device=device.name,
        memory_bytes=device.memory,
        peak_memory_bytes=found.peak,
        fits=found.peak <= device.memory,
        seconds=round(found.seconds, 1),
        dollars=None if price is None else round(price * found.seconds / 3600, 4),
    )


def _answering(config: RunConfig, facts: Facts, device: Device, dtype: str, questions: int, mean: float) -> float:
    """Seconds that writing answers takes: every token reads the weights once for a whole batch."""
    if not questions:
        return 0.0
    shape = facts.shape
    written = max(1.0, config.eval.max_new_tokens * ANSWERS)
    batch = min(questions, max(1, int(config.eval.batch_tokens / (mean + config.eval.max_new_tokens))))
    weights = estimate.weight_bytes(shape, config, dtype)
    each = 2 * (shape.active + shape.head)
    launch = shape.layers * estimate.PASS_OPS / 2 * device.launch_seconds
    token = weights / device.bandwidth + batch * each / device.flops(dtype) + launch
    return questions / batch * written * token + questions * mean * each / device.flops(dtype)


def _with(config: RunConfig, change: dict[str, Any]) -> RunConfig:
    return parse_config(merge(config.model_dump(), change))
