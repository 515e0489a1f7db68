"""Every scheduler and optimizer that the config names, as the trainer takes them on a CPU."""

from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from transformers import Trainer
from transformers.optimization import get_scheduler

from ftspace.config import RunConfig, choices_of
from ftspace.errors import ConfigError
from ftspace.runs import RunStore
from ftspace.sections import Optimizer
from ftspace.training.arguments import arguments_of
from ftspace.training.recipe import Recipe

STEPS = 40
RECIPE = Recipe(epochs=2.0, learning_rate=1e-3, batch_size=8, micro_batch_tokens=512, gradient_checkpointing=False)


def make(folder: Path, *, device: str = "cpu", validated: bool = True, **train: Any) -> Any:
    run = RunStore(folder / "runs").create(RunConfig.model_validate({"train": train}))
    return arguments_of(run, RECIPE, device=device, dtype=torch.float32, rows=8, validated=validated, steps=STEPS)


@pytest.mark.parametrize("name", choices_of("train.scheduler"))
def test_a_scheduler_rises_and_ends_where_its_name_says(name: str, tmp_path: Path) -> None:
    arguments = make(tmp_path, scheduler=name, warmup=0.1)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1e-3)
    scheduler: Any = get_scheduler(
        arguments.lr_scheduler_type,
        optimizer,
        arguments.get_warmup_steps(STEPS),
        STEPS,
        arguments.lr_scheduler_kwargs,
    )
    rates: list[float] = []
    for _ in range(STEPS):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step(*([1.0] if name == "reduce_lr_on_plateau" else []))
    last = {"constant": 1e-3, "constant_with_warmup": 1e-3, "cosine_with_min_lr": 1e-4, "inverse_sqrt": 3e-4}
    assert max(rates) == pytest.approx(1e-3)
    if name != "reduce_lr_on_plateau":
        assert rates[-1] == pytest.approx(last.get(name, 0), abs=5e-5)
    assert (rates[0] == 0) == (name not in ("constant", "reduce_lr_on_plateau"))
    if name == "warmup_stable_decay":
        assert rates[STEPS // 2] == rates[STEPS * 3 // 4] == 1e-3


@pytest.mark.parametrize("name", get_args(Optimizer))
def test_an_optimizer_steps(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    weight = torch.nn.Parameter(torch.ones(128, 64))
    kind, options = Trainer.get_optimizer_cls_and_kwargs(make(tmp_path, optimizer=name))
    optimizer = kind([weight], **options)
    for _ in range(3):
        (weight**2).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    assert weight.isfinite().all() and (weight < 1).all()


def test_what_does_not_go_together_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="use adamw_torch or adafactor"):
        make(tmp_path, device="mps", optimizer="lion_8bit")
    with pytest.raises(ConfigError, match="no validation rows"):
        make(tmp_path, scheduler="reduce_lr_on_plateau", validated=False)


def test_trackers_are_told_to_make_no_space(tmp_path: Path) -> None:
    arguments = make(tmp_path, report_to=["trackio", "tensorboard"])
    assert (arguments.report_to, arguments.trackio_space_id) == (["trackio"], None)
    assert arguments.trackio_static_space_id is False
