"""Which round kills what, and when: a pure function of the seed and the round's number. Knows no process."""

import random
from dataclasses import dataclass
from typing import Literal, get_args

from ftspace.config import RunConfig, default_config, merge, parse_config
from ftspace.events import Checkpoint, Event, Finished, Started, Step, Validation

Phase = Literal["starting", "preparing", "training", "checkpoint", "validation", "saving", "between", "evaluating"]
Role = Literal["app", "supervisor", "worker"]

PHASES: tuple[Phase, ...] = get_args(Phase)
VICTIMS: tuple[tuple[Role, ...], ...] = (
    ("worker",),
    ("app",),
    ("supervisor",),
    ("app", "worker"),
    ("supervisor", "worker"),
    ("app", "supervisor", "worker"),
)
TRAINED, ASKED = PHASES[:6], PHASES[6:]
"""Phases of every run, and those of one that is evaluated, too, which takes three times as long."""
_TURN = (*TRAINED, ASKED[0], *TRAINED, ASKED[1])
HOT: tuple[Phase, ...] = ("training", "checkpoint", "validation", "saving")
"""Those of a second kill."""
STEPS, CHECKPOINT_STEPS, VALIDATION_STEPS = 12, 3, 4
_SECOND = 6
"""One round in so many has a second kill."""
_WARM = 9
"""One in so many begins with a waiting worker: it takes a while after a run until there is one."""


@dataclass(frozen=True)
class Blow:
    """One kill: of whom, and when."""

    victims: tuple[Role, ...]
    phase: Phase
    nth: int
    """How many times the phase is let pass."""
    share: float
    """How far into the phase, from 0 to 1."""

    def __str__(self) -> str:
        """As the progress line has it."""
        return f"{'+'.join(self.victims)} in {self.phase} {self.nth}.{self.share * 100:02.0f}"


@dataclass(frozen=True)
class Plan:
    """One round."""

    number: int
    auto_resume: bool
    evaluated: bool
    warm: bool
    """Whether it begins only when a worker waits for it."""
    blows: tuple[Blow, ...]

    def __str__(self) -> str:
        """As the progress line has it."""
        said = "kill " + ", then ".join(map(str, self.blows))
        return said + " (auto_resume)" * self.auto_resume


def plan(seed: int, number: int) -> Plan:
    """The round of a number, from 0.

    Any 42 in a row have each phase of a training with each set of victims, and each phase of an evaluation with half
    of the sets.
    """
    dice = random.Random(f"{seed} {number}")
    place, half = number % len(_TURN), len(_TURN) // 2
    phase = _TURN[place]
    victims = VICTIMS[(place % half + number // half + seed) % len(VICTIMS)]
    blows = [Blow(victims, phase, dice.randrange(_times(phase)), dice.random())]
    if (number + seed) % _SECOND == _SECOND - 1:
        phase = dice.choice(HOT)
        blows.append(Blow(dice.choice(VICTIMS), phase, dice.randrange(2), dice.random()))
    warm = (number + seed) % _WARM == 0
    return Plan(number, dice.random() < 0.5, blows[0].phase in ASKED, warm, tuple(blows))


def config(*, auto_resume: bool = False, evaluated: bool = False) -> RunConfig:
    """A run of seconds that has all that makes a resume hard: dropout, accumulation, packing, samples, validations."""
    changes = {
        "data": {"max_samples": 160, "validation_fraction": 0.1},
        "lora": {"r": 8, "dropout": 0.1},
        "train": {
            "max_steps": STEPS,
            "batch_size": 8,
            "micro_batch_tokens": 96,
            "max_length": 64,
            "gradient_checkpointing": False,
            "checkpoint_steps": CHECKPOINT_STEPS,
            "validation_steps": VALIDATION_STEPS,
            "samples": 2,
            "device": "cpu",
            "auto_resume": auto_resume,
        },
        "eval": {
            "tasks": ["assets/tasks/answer_format.jsonl"] if evaluated else [],
            "max_samples": 12,
            "max_new_tokens": 8,
        },
        "hub": {"offline": True},
    }
    return parse_config(merge(default_config().model_dump(), changes))


def begun(blow: Blow, events: list[Event], *, writing: bool) -> bool:
    """Whether the phase of a kill has begun, by the events since the job was started or went on.

    `writing` is whether a checkpoint is being written now.
    """
    match blow.phase:
        case "starting":
            return True
        case "preparing":
            return any(isinstance(one, Started) for one in events)
        case "training":
            return sum(isinstance(one, Step) for one in events) > blow.nth
        case "checkpoint":
            return writing and sum(isinstance(one, Checkpoint) for one in events) >= blow.nth
        case "validation":
            measured = [one for one in events if isinstance(one, Step) and one.step % VALIDATION_STEPS == 0]
            return len(measured) > blow.nth
        case "saving":
            return any(isinstance(one, Validation) and one.step == STEPS for one in events)
        case "between":
            return any(isinstance(one, Finished) and one.job == "train" for one in events)
        case "evaluating":
            return any(isinstance(one, Started) and one.job == "evaluate" for one in events)


def ended(blow: Blow, events: list[Event], *, writing: bool) -> bool:
    """Whether the phase of a kill is over, whatever time it was said to take; asked once it has begun."""
    match blow.phase:
        case "starting":
            return any(isinstance(one, Started) for one in events)
        case "preparing":
            return any(isinstance(one, Step) for one in events)
        case "training":
            return sum(isinstance(one, Step) for one in events) > blow.nth + 1
        case "checkpoint":
            return not writing
        case "validation":
            last = [one for one in events if isinstance(one, Step | Validation)][-1]
            return isinstance(last, Validation)
        case "saving":
            return any(isinstance(one, Finished) for one in events)
        case "between":
            return any(isinstance(one, Started) and one.job == "evaluate" for one in events)
        case "evaluating":
            return any(isinstance(one, Finished) and one.job == "evaluate" for one in events)


def durations(events: list[Event], queued_at: float) -> dict[Phase, float]:
    """How long each phase took in a run that nothing disturbed, in seconds."""
    at: dict[str, float] = {"queued": queued_at}
    steps: list[float] = []
    for event in events:
        match event:
            case Started():
                at[f"{event.job} started"] = event.time
            case Finished():
                at[f"{event.job} finished"] = event.time
            case Step():
                steps.append(event.time)
                at[f"step {event.step}"] = event.time
            case Validation():
                at[f"validation {event.step}"] = event.time
            case _:
                pass

    def between(first: str, second: str) -> float:
        return max(0.0, at[second] - at[first]) if first in at and second in at else 0.0

    written = [event.seconds for event in events if isinstance(event, Checkpoint)]
    return {
        "starting": between("queued", "train started"),
        "preparing": between("train started", "step 1"),
        "training": (steps[-1] - steps[0]) / max(1, len(steps) - 1) if steps else 0.0,
        "checkpoint": 1.3 * max(written, default=0.0),  # pruning follows
        "validation": between(f"step {VALIDATION_STEPS}", f"validation {VALIDATION_STEPS}"),
        "saving": between(f"validation {STEPS}", "train finished"),
        "between": between("train finished", "evaluate started"),
        "evaluating": between("evaluate started", "evaluate finished"),
    }


def _times(phase: Phase) -> int:
    """How often a phase comes in a run, leaving the last time out."""
    return {"training": STEPS - 1, "checkpoint": STEPS // CHECKPOINT_STEPS, "validation": 3}.get(phase, 1)
