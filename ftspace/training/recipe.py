"""What a run chooses where its config leaves it open: pure functions of the config and of what is known of the work.

Knows no torch. Each choice names its source: a paper, a library's default, or our own judgement where there is none.
"""

import math
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from ftspace.config import RunConfig
from ftspace.sections import LoraConfig

T = TypeVar("T")
GIGABYTE = 10**9
STEPS_AN_EPOCH = 32
"""At least so many steps make an epoch of small data."""
BATCH_TOKENS = 16_384
"""Tokens of one step from which on a batch is cut to fewer conversations."""
USUAL_ALPHA = 32
"""The alpha that learning rates are quoted for."""
_DECAYED = 0.2
"""Share of the steps in which warmup_stable_decay falls, at the end."""
_SCHEDULES: dict[str, dict[str, Any]] = {
    "cosine_with_restarts": {"num_cycles": 2},
    "cosine_with_min_lr": {"min_lr_rate": 0.1},
    "polynomial": {"lr_end": 0.0, "power": 2.0},
    "reduce_lr_on_plateau": {"factor": 0.5, "patience": 2},
}
"""What schedulers are told where transformers gives no default, or one that makes them another scheduler's twin."""
_OURS = "our own judgement"


@dataclass(frozen=True)
class Work:
    """What is known of a run before its first step."""

    parameters: int
    """Of the base."""
    rows: int
    """Training rows."""
    mean_tokens: float
    """Of a training row, after the cut."""
    device: str
    """cpu, cuda or mps."""
    memory: int | None = None
    """Bytes of the device; None when not known."""
    memory_asks: bool = False
    """Whether it would run out of memory without gradient checkpointing."""


@dataclass(frozen=True)
class Choice(Generic[T]):
    """One value, and why it is this one."""

    value: T
    why: str
    given: bool = False
    """Whether the config says it."""


@dataclass(frozen=True)
class Recipe:
    """The choices of `TrainConfig` that may be left open, made."""

    epochs: float
    learning_rate: float
    batch_size: int
    micro_batch_tokens: int
    gradient_checkpointing: bool


@dataclass(frozen=True)
class Reasons:
    """A recipe with the reasons of each of its values, by the same names."""

    epochs: Choice[float]
    learning_rate: Choice[float]
    batch_size: Choice[int]
    micro_batch_tokens: Choice[int]
    gradient_checkpointing: Choice[bool]


def choose(config: RunConfig, work: Work) -> Recipe:
    """The recipe of a run: what the config says, and the choice for this work where it says nothing."""
    reasons = explain(config, work)
    return Recipe(
        epochs=reasons.epochs.value,
        learning_rate=reasons.learning_rate.value,
        batch_size=reasons.batch_size.value,
        micro_batch_tokens=reasons.micro_batch_tokens.value,
        gradient_checkpointing=reasons.gradient_checkpointing.value,
    )


def explain(config: RunConfig, work: Work) -> Reasons:
    """The recipe of a run with the reason of each value."""
    train = config.train
    return Reasons(
        epochs=_given(train.epochs) or epochs(work.rows),
        learning_rate=_given(train.learning_rate) or learning_rate(config, work.parameters),
        batch_size=_given(train.batch_size) or batch_size(config, work.rows, work.mean_tokens),
        micro_batch_tokens=_given(train.micro_batch_tokens) or micro_batch_tokens(work.device, work.memory),
        gradient_checkpointing=_given(train.gradient_checkpointing) or checkpointing(config, asked=work.memory_asks),
    )


def steps_of(config: RunConfig, recipe: Recipe, rows: int) -> int:
    """How many optimizer steps the trainer will take over `rows` training rows."""
    return config.train.max_steps or math.ceil(recipe.epochs * math.ceil(rows / recipe.batch_size))


def schedule_options(name: str, steps: int) -> dict[str, Any]:
    """What a scheduler is told besides the warm-up, for so many steps."""
    if name == "warmup_stable_decay":
        return {"num_decay_steps": max(1, round(_DECAYED * steps))}
    return dict(_SCHEDULES.get(name, {}))


def _given(value: T | None) -> Choice[T] | None:
    return None if value is None else Choice(value, "as the config says", given=True)


def epochs(rows: int) -> Choice[float]:
    """Passes over the rows: the fewer rows, the more.

    LIMA (Zhou et al. 2023) goes 15 times over 1,000 rows, Alpaca (Taori et al. 2023) 3 times over 52,000, and repeating
    data up to 4 times costs little against new data (Muennighoff et al. 2023). The steps between are our own judgement:
    a LoRA adapter learns faster than all weights do, and early stopping may end it.
    """
    for fewer_than, times in ((200, 10.0), (1_000, 5.0), (20_000, 3.0), (100_000, 2.0)):
        if rows < fewer_than:
            return Choice(times, f"{rows:,} training rows: fewer than {fewer_than:,} ({_OURS}, after LIMA and Alpaca)")
    return Choice(1.0, f"{rows:,} training rows: enough to see each once ({_OURS})")


def usual_rate(config: RunConfig, parameters: int) -> float:
    """The learning rate that this run would choose, whatever its config says."""
    return learning_rate(config, parameters).value


def learning_rate(config: RunConfig, parameters: int) -> Choice[float]:
    """The peak rate, by method and by the base's size.

    LoRA from 3 to 20 billion parameters 2e-4, above 1e-4 (QLoRA, Dettmers et al. 2023; a quantized base takes the
    same). Smaller models take more: 5e-4 from 0.3 billion on, 1e-3 below (our own judgement: "LoRA Without Regret",
    Schulman et al. 2025, finds the best rate to fall with width; 1e-3 was measured on the embedded base only). Full
    fine-tuning a tenth of that (the same article). Prompt tuning 3e-2 and prefix tuning 1e-2 (PEFT's examples).

    What counts is rate times scale: so the rate is lower for a larger alpha, or for rsLoRA's scale, by at most 4. LoRA+
    multiplies the rate of B, so that of A is lower by the root of it. Both are our own judgement. PiSSA a tenth (its
    paper, Meng et al. 2024, trains at 2e-5). Lion a fifth (its paper, Chen et al. 2023: 3 to 10 times smaller).
    """
    lora, method = config.lora, config.lora.method
    if method in ("prompt_tuning", "prefix_tuning"):
        rate = 3e-2 if method == "prompt_tuning" else 1e-2
        return Choice(rate, f"{method} starts from nothing and takes a high rate (PEFT's examples)")
    rate, why = _rate_by_size(parameters)
    if method == "full":
        rate, why = rate / 10, f"{why}; a tenth for full fine-tuning (LoRA Without Regret)"
    for factor, reason in _rate_factors(lora):
        rate, why = rate * factor, f"{why}; {reason}"
    if config.train.optimizer.startswith("lion"):
        rate, why = rate / 5, f"{why}; a fifth for Lion (its paper)"
    if config.train.optimizer == "sgd":
        why += "; for another optimizer than sgd, which has no usual rate: look for one with ftspace lr-find"
    return Choice(float(f"{rate:.2g}"), why)


def _rate_by_size(parameters: int) -> tuple[float, str]:
    billions = parameters / 1e9
    size = f"{billions:.1f} billion parameters" if billions >= 0.1 else f"{parameters / 1e6:.1f} million parameters"
    if billions < 0.3:
        return 1e-3, f"{size}: small models take high rates ({_OURS})"
    if billions < 3:
        return 5e-4, f"{size}: smaller than QLoRA's ({_OURS})"
    if billions < 20:
        return 2e-4, f"{size} (QLoRA)"
    return 1e-4, f"{size} (QLoRA)"


def _rate_factors(lora: LoraConfig) -> list[tuple[float, str]]:
    if lora.method != "lora":
        return []
    factors: list[tuple[float, str]] = []
    alpha = lora.alpha * lora.r**0.5 if lora.rslora else float(lora.alpha)
    if alpha != USUAL_ALPHA:
        factor = min(4.0, max(0.25, USUAL_ALPHA / alpha))
        scale = f"alpha {lora.alpha}" + (" with rslora" if lora.rslora else "")
        factors.append((factor, f"times {factor:.2g} for {scale} ({_OURS})"))
    if lora.plus_ratio and lora.plus_ratio > 1:
        factors.append((lora.plus_ratio**-0.5, f"lower, since LoRA+ multiplies B's by {lora.plus_ratio:g} ({_OURS})"))
    if lora.init == "pissa":
        factors.append((0.1, "a tenth for pissa, which trains the base's main directions (its paper)"))
    return factors


def batch_size(config: RunConfig, rows: int, mean_tokens: float) -> Choice[int]:
    """Conversations in a step: 16, or 32 from 10,000 rows on; fewer where rows are few or long.

    QLoRA (Dettmers et al. 2023) trains with 16. "LoRA Without Regret" finds LoRA to lose against full fine-tuning as
    batches grow, and little at 32: full fine-tuning of many rows takes 64 (half of Alpaca's 128). That an epoch has 32
    steps at least and a step 16,384 tokens at most is our own judgement.
    """
    many = rows >= 10_000
    most, why = (32, "LoRA Without Regret") if many else (16, "QLoRA")
    if many and config.lora.method == "full":
        most, why = 64, "half of Alpaca's"
    limits = [
        (most, f"{most} conversations ({why})"),
        (rows // STEPS_AN_EPOCH, f"so that {rows:,} rows make {STEPS_AN_EPOCH} steps an epoch ({_OURS})"),
        (int(BATCH_TOKENS / max(mean_tokens, 1)), f"at most {BATCH_TOKENS:,} tokens a step ({_OURS})"),
    ]
    limit, reason = min(limits, key=lambda one: one[0])
    size = max(4, 2 ** max(limit, 1).bit_length() // 2)
    return Choice(min(size, max(rows, 1)), reason if size == limit or limit >= 4 else f"{reason}, and 4 at least")


def micro_batch_tokens(device: str, memory: int | None) -> Choice[int]:
    """Tokens of one forward pass, which memory and not learning decides: the loss is the same to rounding.

    On a CPU 1,024: twice as many are at best a tenth faster and take twice the memory (measured). On a GPU 8,192 from
    40 GB of memory on, 4,096 from 20 GB on, 2,048 below (our own judgement); memory run out halves it while the run
    goes on.
    """
    if device == "cpu":
        return Choice(1024, "a CPU is hardly faster with more (measured)")
    if device == "mps":
        return Choice(2048, f"Apple's memory is shared with all that runs ({_OURS})")
    if memory is None or memory >= 40 * GIGABYTE:
        return Choice(8192, f"a large GPU ({_OURS})")
    gigabytes = memory / GIGABYTE
    return Choice(4096 if gigabytes >= 20 else 2048, f"a GPU of {gigabytes:.0f} GB ({_OURS})")


def checkpointing(config: RunConfig, *, asked: bool) -> Choice[bool]:
    """Gradient checkpointing only where memory asks for it: it costs about a third of the time (measured)."""
    if config.lora.method == "prefix_tuning":
        return Choice(False, "a prefix lies in the cache, which there is none of while activations are computed again")
    if asked:
        return Choice(True, "without it memory would run out (estimated)")
    return Choice(False, "memory is enough without (estimated)")
