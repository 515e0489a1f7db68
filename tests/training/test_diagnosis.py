import math
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftspace.config import RunConfig, default_config, field_names, parse_config
from ftspace.events import Event, Finished, Resumed, Step, Validation, Warned
from ftspace.state import RunState, fold
from ftspace.training.diagnosis import diagnose
from tests.training import simulated

CONFIG = RunConfig()
RUNS, ILL = 200, 60


def kind(events: Sequence[Event], config: RunConfig = CONFIG) -> str:
    return diagnose(fold(events), config).kind


def test_healthy_runs_raise_no_alarm() -> None:
    found: Counter[str] = Counter()
    wrongly_over = 0
    for seed in range(RUNS):
        events, more = simulated.healthy(seed)
        found[said := kind(events)] += 1
        wrongly_over += said == "converged" and more > 0.05
    alarms = RUNS - found["falling"] - found["converged"] - found["early"]
    assert alarms <= 0.02 * RUNS, found
    assert wrongly_over <= 0.02 * RUNS
    assert found["early"] <= 0.05 * RUNS


@pytest.mark.parametrize(
    ("expected", "draw"),
    [
        ("not_learning", simulated.not_learning),
        ("overfitting", simulated.overfitting),
        ("memorizing", simulated.memorizing),
        ("converged", simulated.converged),
        ("noisy", simulated.batch_too_small),
        ("unstable", simulated.unstable),
        ("diverged", simulated.diverged),
        ("unsupervised", simulated.unsupervised),
    ],
)
def test_what_is_wrong_is_found(expected: str, draw: Callable[[int], list[Event]]) -> None:
    found = Counter(kind(draw(seed)) for seed in range(ILL))
    assert found[expected] >= 0.95 * ILL, found


@pytest.mark.parametrize(
    "draw",
    [simulated.not_learning, simulated.overfitting, simulated.memorizing, simulated.unstable, simulated.diverged],
)
def test_what_is_wrong_comes_with_numbers_and_a_field_to_change(draw: Callable[[int], list[Event]]) -> None:
    for config in (CONFIG, default_config()):
        found = diagnose(fold(draw(1)), config)
        assert any(character.isdigit() for character in "".join(found.evidence))
        named = {word.strip(".,;(") for word in found.change.split() if "." in word.strip(".,;(")}
        assert named & set(field_names())


def test_the_step_whose_weights_to_take_is_near_the_lowest_validation_loss() -> None:
    for seed in range(10):
        state = fold(simulated.overfitting(seed))
        lowest = min(one.loss for one in state.validations)
        best = next(one for one in state.validations if one.step == diagnose(state, CONFIG).step)
        assert best.loss <= 1.01 * lowest
    keeping = parse_config({"train": {"keep": "best"}})
    assert "this run keeps" in diagnose(fold(simulated.overfitting(0)), keeping).words


def test_a_low_rate_is_told_from_data_that_teach_nothing() -> None:
    flat = simulated.passed(100) * 0 + 2.0
    low, usual = (simulated.told(flat[:-1] + 0.0, flat, every=20, rate=rate) for rate in (1e-6, 5e-4))
    assert "rate is too low" in diagnose(fold(low), CONFIG).words
    assert "ftspace inspect" in diagnose(fold(usual), CONFIG).change


@pytest.mark.parametrize("losses", [[], [2.0], [2.0, 1.9, 1.8]])
def test_a_few_steps_are_too_few(losses: list[float]) -> None:
    events = [simulated.prepared(100), *(step(place, loss) for place, loss in enumerate(losses, start=1))]
    assert kind(events) == "early"


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_no_number_is_divergence_even_at_once(bad: float) -> None:
    found = diagnose(fold([simulated.prepared(100), step(1, 2.0), step(2, bad)]), CONFIG)
    assert (found.kind, found.step) == ("diverged", 2)
    ended = Finished(job="train", status="failed", reason="nan_loss")
    assert kind([simulated.prepared(100), step(1, 2.0), ended]) == "diverged"


def test_a_rollback_makes_the_divergence_void() -> None:
    events, _ = simulated.healthy(3)
    steps = [event for event in events if isinstance(event, Step)]
    half = len(steps) // 2
    broken = [one.model_copy(update={"loss": math.nan}) for one in steps[half : half + 4]]
    where = events.index(steps[half])
    resumed = [*events[:where], *broken, Resumed(step=half, reason="rollback"), *events[where:]]
    assert diagnose(fold(resumed), CONFIG) == diagnose(fold(events), CONFIG)


@settings(max_examples=15)
@given(st.integers(0, 60), st.floats(0.1, 10), st.floats(0.1, 10))
def test_neither_the_clock_nor_the_size_of_the_rate_nor_other_events_change_the_answer(
    seed: int, slower: float, times: float
) -> None:
    events, _ = simulated.healthy(seed)
    changed: list[Event] = [Warned(message="odd")]
    for event in events:
        if isinstance(event, Step):
            told = {"seconds": event.seconds * slower, "learning_rate": event.learning_rate * times}
            changed.append(event.model_copy(update=told))
        else:
            changed.append(event)
    assert kind(changed) == kind(events)


def test_stairs_at_new_epochs_are_said() -> None:
    one = simulated.Simulation(5)
    one.epochs, one.share, one.every = 6.0, 0.03, max(1, one.steps // 12)
    still = one.floor * (1 + 0.5 * (1 + one.passed / 0.01) ** -2.0)
    found = diagnose(fold(one.events(one.stairs(still, 0.15), still)), CONFIG)
    assert found.kind == "memorizing"
    assert "as each epoch begins anew" in "".join(found.evidence)


def test_no_more_is_promised_than_there_is_to_lose() -> None:
    def loss(at: int) -> float:
        return 17 * math.exp(-at / 19)

    state = RunState(prepared=simulated.prepared(192))
    state.steps = [step(at, loss(at) * (1 + 0.05 * math.sin(at))) for at in range(1, 101)]
    state.validations = [Validation(step=at, loss=loss(at)) for at in (0, 50, 100)]
    found = diagnose(state, CONFIG)
    told = "; ".join(found.evidence)
    (latest,), (more,) = (re.findall(words, told) for words in (r"loss went from \S+ to ([\d.]+)", r"up to (\S+) more"))
    assert found.kind == "falling" and 0 < float(more) < float(latest)


def test_a_hundred_thousand_steps_are_judged_at_once() -> None:
    def loss(at: int) -> float:
        return 1 + (1 + at / 5_000) ** -0.5

    state = RunState(prepared=simulated.prepared(100_000))
    state.steps = [one for at in range(1, 100_001, 100) for one in [step(at, loss(at))] * 100]
    state.validations = [Validation(step=at, loss=loss(at)) for at in range(0, 100_001, 500)]
    spent = min(_seconds(lambda: diagnose(state, CONFIG)) for _ in range(3))
    assert diagnose(state, CONFIG).kind == "falling"
    assert spent < 0.5  # about 0.02 s, on a machine that does nothing else


def test_it_needs_no_torch() -> None:
    code = "import sys, ftspace.training.diagnosis; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def step(at: int, loss: float) -> Step:
    fields: dict[str, Any] = {"epoch": at / 100, "learning_rate": 5e-4, "grad_norm": 1.0, "tokens": at, "seconds": 1.0}
    return Step.model_construct(step=at, loss=loss, time=0.0, **fields)


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
