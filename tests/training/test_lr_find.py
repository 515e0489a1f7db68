import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftspace.config import default_config, merge, parse_config
from ftspace.recipes import sweeping
from ftspace.training.lr_find import HIGHEST, LOWEST, exploded, rate_at, sparkline, suggest

STEPS = 60


def swept(best: float, *, noise: float = 0.03, seed: int = 0) -> tuple[list[float], list[float]]:
    """Rates and losses of a sweep that falls fastest about `best` and explodes a decade above; until it would end."""
    random = np.random.default_rng(seed)
    rates, losses = [], []
    for step in range(STEPS):
        rate = rate_at(step, STEPS)
        away = math.log10(rate / best)
        clean = 1.5 + 2 / (1 + math.exp(6 * away)) + 10 ** (2.5 * (away - 1.1))
        rates.append(rate)
        losses.append(clean + noise * float(random.standard_normal()))
        if exploded(losses):
            break
    return rates, losses


def test_the_rates_grow_by_a_factor_from_the_lowest_to_the_highest() -> None:
    rates = [rate_at(step, STEPS) for step in range(STEPS)]
    assert (rates[0], rates[-1]) == pytest.approx((LOWEST, HIGHEST))
    assert np.allclose(np.diff(np.log(rates)), math.log(HIGHEST / LOWEST) / (STEPS - 1))


@pytest.mark.parametrize("best", [1e-5, 1e-4, 1e-3, 1e-2])
def test_the_suggestion_is_within_a_factor_of_four_of_the_best_rate(best: float) -> None:
    for seed in range(20):
        rates, losses = swept(best, seed=seed)
        found = suggest(rates, losses)
        assert len(rates) < STEPS or best > 1e-3
        assert found.suggestion is not None
        assert best / 4 <= found.suggestion <= 4 * best
        assert f"{found.suggestion:g}" in found.words


def test_a_flat_curve_suggests_nothing() -> None:
    rates = [rate_at(step, STEPS) for step in range(STEPS)]
    suggested = 0
    for seed in range(100):
        losses = 2 + 0.1 * np.random.default_rng(seed).standard_normal(STEPS)
        suggested += suggest(rates, losses.tolist()).suggestion is not None
    assert suggested <= 2
    assert "flat" in suggest(rates, [2.0] * STEPS).words


def test_what_comes_after_a_loss_that_is_no_number_is_left_out() -> None:
    rates, losses = swept(1e-4)
    broken = [*losses, math.nan, 0.0]
    assert suggest([*rates, 0.5, 0.6], broken) == suggest(rates, losses)
    assert suggest(rates[:5], [2.0, 1.9, math.nan, 1.0, 1.0]).suggestion is None


def test_a_sweep_ends_when_the_loss_explodes_and_not_for_one_odd_batch() -> None:
    assert exploded([2.0, math.nan])
    assert not exploded([2.0, 1.0, 1.0, 1.0, 9.0, 1.0])
    assert exploded([2.0, 1.0, 1.0, 1.0, 9.0, 9.0, 9.0])


@given(st.lists(st.floats(-1e6, 1e6), max_size=80))
def test_a_sparkline_has_a_bar_for_each_value(values: list[float]) -> None:
    assert len(sparkline(values)) == len(values)


def test_a_sweep_measures_and_keeps_nothing_beside() -> None:
    asked = merge(default_config().model_dump(), {"train": {"keep": "best", "patience": 2, "report_to": ["wandb"]}})
    config = sweeping(parse_config(asked), 25)
    assert parse_config(config.model_dump()) == config
    assert (config.train.max_steps, config.train.learning_rate, config.eval.tasks) == (25, LOWEST, [])
    assert config.lora == default_config().lora


def test_the_rate_of_each_step_is_the_sweeps_and_nothing_is_saved_at_its_end() -> None:
    import torch
    from transformers import TrainerControl, TrainerState, TrainingArguments

    from ftspace.training.sweep import SweepCallback, Swept

    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=LOWEST)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 1.0)
    callback, control, state = SweepCallback(), TrainerControl(), TrainerState(max_steps=STEPS)
    arguments = TrainingArguments(use_cpu=True)
    callback.on_train_begin(arguments, state, control, lr_scheduler=schedule)
    for step in range(STEPS):
        assert schedule.get_last_lr() == [pytest.approx(rate_at(step, STEPS))]
        callback.on_log(arguments, state, control, logs={"loss": 1.0 if step < STEPS - 4 else 9.0})
        assert control.should_training_stop == (step >= STEPS - 2)
        optimizer.step()
        schedule.step()
    with pytest.raises(Swept):
        callback.on_train_end(arguments, state, control)
