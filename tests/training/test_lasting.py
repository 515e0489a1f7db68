"""A training that is cut off and taken up again ends in the very same weights; the best is kept, a divergence outlived.

The model is tiny and the processes are one; what a process knows is thrown away with its trainer.
"""

import copy
import errno
import hashlib
import io
import math
import os
import pickle
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from datasets import Dataset
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, LlamaConfig, TrainerCallback, set_seed
from transformers.trainer_callback import PrinterCallback

from evals.models import load_tokenizer
from ftspace import stopping, workers
from ftspace.budgets import budget_of
from ftspace.config import RunConfig, merge, parse_config
from ftspace.disk import is_disk_full
from ftspace.errors import DiskError, DivergedError, JobError, MemoryGoneError
from ftspace.events import Checkpoint, Event, Prepared, Resumed, Step, Warned, read_events
from ftspace.runs import Run, RunStore
from ftspace.settings import ROOT
from ftspace.state import fold
from ftspace.supervision import IGNORED
from ftspace.training import checkpoints, kept
from ftspace.training.adapters import attach
from ftspace.training.arguments import arguments_of
from ftspace.training.callbacks import EventCallback
from ftspace.training.course import Course
from ftspace.training.documents import adopt
from ftspace.training.heads import complete_head
from ftspace.training.lasting import Ending
from ftspace.training.loading import Loaded
from ftspace.training.padded import PaddedTrainer
from ftspace.training.recipe import Recipe
from ftspace.training.saving import save_adapter
from ftspace.training.trained import trained, undisturbed
from ftspace.training.trainer import DocumentTrainer
from ftspace.workers import Job, Lease
from tests.test_disk import fill

ROWS, BATCH = 18, 4
STEPS = 10
"""Two epochs of five steps, the last of two conversations."""
MINE = checkpoints.Belongs(config={}, data="d")
Weights = dict[str, torch.Tensor]


class Killed(Exception):
    """The process is gone."""


class At(TrainerCallback):
    """Does something after a step has been taken, before anything is told or written of it."""

    def __init__(self, step: int, do: Callable[[Any], object]) -> None:
        self.step, self.do = step, do

    def on_step_end(self, args, state, control, **kwargs) -> None:
        if state.global_step == self.step:
            self.do(kwargs["model"])


def kill(model: Any) -> None:
    raise Killed


def refuse(model: Any, *, training: bool) -> None:
    """From now on memory runs out in every step, or in every validation."""

    def hook(embedding: torch.nn.Module, given: Any) -> None:
        if embedding.training == training:
            raise torch.OutOfMemoryError("CUDA out of memory")

    model.get_input_embeddings().register_forward_pre_hook(hook)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Threads cost more than they give where the model is so small."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return load_tokenizer(str(ROOT / "assets/base"), None)


@pytest.fixture
def make(tokenizer: Any, tmp_path: Path) -> Callable[..., Run]:
    """A run with checkpoints every second step, and what is given of its train section."""

    def made(**train: Any) -> Run:
        given = {
            "lora": {"r": 4, "dropout": 0.1},
            "train": {"checkpoint_steps": 2, "epochs": 2, "learning_rate": 0.02, **train},
        }
        config = merge(RunConfig().model_dump(), given)
        return RunStore(tmp_path / "runs").create(parse_config(config))

    return made


def rows(count: int, seed: int, vocabulary: int) -> Dataset:
    dice = random.Random(seed)
    made = []
    for _ in range(count):
        ids = [dice.randrange(vocabulary) for _ in range(dice.randrange(6, 30))]
        made.append({"input_ids": ids, "labels": [IGNORED] * 3 + ids[3:]})
    return Dataset.from_list(made)


def go(
    run: Run,
    tokenizer: Any,
    *callbacks: TrainerCallback,
    padded: bool = False,
    metrics: Any = None,
    lease: Lease | None = None,
) -> tuple[Ending, Weights]:
    """One process of a run: from its newest checkpoint to its end; the weights that it would save."""
    set_seed(run.config.train.seed)
    size = len(tokenizer)
    shape = LlamaConfig(
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        vocab_size=size,
        tie_word_embeddings=True,
        attention_dropout=0.1,
    )
    model = AutoModelForCausalLM.from_config(shape)
    train, validation = rows(ROWS, 1, size), rows(5, 2, size)
    recipe = Recipe(2.0, run.config.train.learning_rate or 0.02, BATCH, 60, gradient_checkpointing=False)
    trainee = attach(run.config, Loaded(model, tokenizer, [5]), train, STEPS)
    if not padded:
        assert adopt(model, train.select(range(4)).to_list()) is None
    each = 2 if padded else BATCH
    arguments = arguments_of(run, recipe, device="cpu", dtype=model.dtype, rows=each, validated=True, steps=STEPS)
    trainer = (PaddedTrainer if padded else DocumentTrainer)(
        part_tokens=recipe.micro_batch_tokens,
        model=trainee.model,
        args=arguments,
        train_dataset=train,
        eval_dataset=validation,
        processing_class=tokenizer,
    )
    if padded:
        complete_head(model)
    job = Job(run, "train", lease)
    course = Course(by_score=run.config.train.best_by == "score", patience=run.config.train.patience)
    course.budget = budget_of(run.config.train)
    prepared = Prepared(
        rows={}, format="", total_steps=0, trainable_parameters=1, parameters=1, device="cpu", dtype="float32"
    )
    trainer.remove_callback(PrinterCallback)
    for callback in (*callbacks, EventCallback(job, prepared, course)):
        trainer.add_callback(callback)
    if metrics:
        measure = trainer.evaluate
        as_any = cast("Any", trainer)
        as_any.evaluate = lambda **given: measure(**given) | metrics(trainer.state.global_step)
    found = checkpoints.newest(run.checkpoints, lambda said: job.tell(Warned(message=said)))
    try:
        ending = trainer.last(job, course, MINE, found)
    finally:
        job.events.close()
    return ending, copy.deepcopy(trained(trainer.model))


def events(run: Run, *kinds: type[Event]) -> list[Any]:
    return [event for event in read_events(run.events)[0] if isinstance(event, kinds)]


def warnings(run: Run) -> list[str]:
    return [event.message for event in events(run, Warned)]


def harm(model: Any) -> None:
    """The weights become what a step that was far too long makes of them."""
    for one in model.parameters():
        if one.requires_grad:
            one.data.fill_(math.nan)


def same(one: Weights, other: Weights) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("padded", [False, True], ids=["documents", "padded, accumulated"])
def test_cut_off_anywhere_and_taken_up_it_ends_in_the_same_weights(make, tokenizer: Any, *, padded: bool) -> None:
    whole = make(validation_steps=3)
    ending, expected = go(whole, tokenizer, padded=padded)
    assert ending == Ending(STEPS)
    curve = [(step.step, step.loss, step.tokens) for step in events(whole, Step)]
    assert len(curve) == STEPS and any("trainable_tokens" in name for name in expected)
    for cuts in ([4, 7],) if padded else ([1], [4, 7], [6]):
        run = make(validation_steps=3)
        for cut in cuts:
            with pytest.raises(Killed):
                go(run, tokenizer, At(cut, kill), padded=padded)
        ending, found = go(run, tokenizer, padded=padded)
        assert ending == Ending(STEPS)
        assert same(found, expected), cuts
        state = fold(read_events(run.events)[0])
        assert [(step.step, step.loss, step.tokens) for step in state.steps] == curve
        assert [step.seconds for step in state.steps] == sorted(step.seconds for step in state.steps)
        assert [one.step for one in state.validations] == [0, 3, 6, 9, 10]
        told = {tuple((one.step, one.loss) for one in fold(read_events(r.events)[0]).validations) for r in (run, whole)}
        assert len(told) == 1
        last = (cuts[-1] - 1) // 2 * 2
        assert [event.step for event in events(run, Resumed)][-1:] == ([last] if last else [])


def test_a_stop_writes_a_checkpoint_even_in_the_middle_of_a_validation(make, tokenizer: Any) -> None:
    def falling(step: int) -> dict[str, float]:  # each is the best, and written at once
        return {"eval_loss": 9.0 - step}

    whole, run = (make(checkpoint_steps=1000, validation_steps=3, keep=keep) for keep in ("last", "best"))
    _, expected = go(whole, tokenizer)
    assert events(whole, Checkpoint) == []
    for step in (2, 3, 7):  # the third step is measured, and the stop is asked for before it is
        ending, _ = go(run, tokenizer, At(step, lambda model: run.stop_flag.touch()), metrics=falling)
        assert ending.stopped
        assert events(run, Checkpoint)[-1].step == step
        run.stop_flag.unlink()
    ending, _ = go(run, tokenizer, At(8, lambda model: refuse(model, training=True)), metrics=falling)
    assert isinstance(ending.problem, MemoryGoneError) and "the adapter is that of step 6" in str(ending.problem)
    assert events(run, Checkpoint)[-1].step == 8
    ending, found = go(run, tokenizer, At(STEPS, lambda model: run.stop_flag.touch()), metrics=falling)
    assert ending.stopped, "its last validation is still to be done"
    run.stop_flag.unlink()
    ending, found = go(run, tokenizer, metrics=falling)
    assert ending == Ending(STEPS) and same(found, expected)
    measured = [[(one.step, one.loss) for one in fold(read_events(r.events)[0]).validations] for r in (whole, run)]
    assert measured[0] == measured[1]


def test_a_job_leaves_when_the_next_step_would_end_after_its_deadline(
    make, tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(workers, "time", SimpleNamespace(monotonic=lambda: now))

    def late(model: Any) -> None:
        nonlocal now
        now = 100.0

    whole, run = make(validation_steps=3), make(checkpoint_steps=1000, validation_steps=3)
    _, expected = go(whole, tokenizer)
    for step in (2, 6):
        now = 0.0
        ending, _ = go(run, tokenizer, At(step, late), lease=Lease(100.0, os.getpid(), run.path / "leave"))
        assert (ending.stopped, ending.step) == (True, step)
        assert events(run, Checkpoint)[-1].step == step
    now, job = 0.0, Job(run, "train", Lease(100.0, os.getpid(), run.path / "leave"))
    job.takes("step", 30.0)
    job.takes("checkpoint", 5.0)
    assert not job.should_stop()
    now = 66.0
    assert job.should_stop() and job.leaves()
    run.stop_flag.touch()
    assert not job.leaves()  # it is stopped for good
    run.stop_flag.unlink()
    job.events.close()
    nobody = Lease(math.inf, 2**22 + 1, run.path / "leave")
    assert go(run, tokenizer, lease=nobody)[0].stopped  # whoever it was lent for is gone
    ending, found = go(run, tokenizer, lease=Lease(math.inf, os.getpid(), run.path / "leave"))
    assert ending == Ending(STEPS) and same(found, expected)


def test_a_stop_that_keeps_nothing_writes_no_checkpoint(make, tokenizer: Any) -> None:
    for step in (2, 3):  # the third step is measured
        run = make(checkpoint_steps=1000, validation_steps=3)
        ending, _ = go(run, tokenizer, At(step, lambda model, run=run: stopping.ask(run, stopping.DISCARD)))
        assert ending.stopped and events(run, Checkpoint) == []


def test_a_plateau_is_not_measured_from_the_base_whose_validation_was_cut_off(make, tokenizer: Any) -> None:
    run = make(scheduler="reduce_lr_on_plateau", warmup=0.0)
    run.stop_flag.touch()
    assert go(run, tokenizer)[0].step == 0
    run.stop_flag.unlink()

    class Look(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs) -> None:
            assert math.isinf(kwargs["lr_scheduler"].best)
            raise Killed

    with pytest.raises(Killed):
        go(run, tokenizer, Look())
    assert [one.step for one in fold(read_events(run.events)[0]).validations] == [0]


def test_the_best_is_kept_and_patience_ends_a_training_that_gets_no_better(make, tokenizer: Any) -> None:
    scores = {0: 0.1, 2: 0.5, 4: 0.3, 6: 0.5, 8: 0.9}
    run = make(keep="best", best_by="score", patience=2, validation_steps=2, save_total_limit=1, checkpoint_steps=1)
    kept: list[Weights] = []
    watch = At(3, lambda model: kept.append(copy.deepcopy(trained(model))))
    with pytest.raises(Killed):
        go(run, tokenizer, watch, At(5, kill), metrics=lambda step: {"eval_score": scores[step]})
    assert checkpoints.steps(run.checkpoints) == [4, 2]
    ending, best = go(run, tokenizer, metrics=lambda step: {"eval_score": scores[step]})
    assert ending == Ending(2) and fold(read_events(run.events)[0]).steps[-1].step == 6
    assert warnings(run) == ["stopped early at step 6: 2 validations since the score of 0.500 at step 2"]
    assert checkpoints.steps(run.checkpoints) == [6, 2] and not same(best, kept[0])
    assert same(best, {**load_file(run.checkpoints / "step-000002/trained.safetensors")})
    (run.checkpoints / "step-000002/trained.safetensors").unlink()
    assert go(run, tokenizer)[0] == Ending(6)
    assert "the best weights, of step 2, are lost" in warnings(run)[-1]


def test_a_training_that_only_gets_worse_keeps_what_it_began_with_and_says_so(make, tokenizer: Any) -> None:
    run = make(keep="best", validation_steps=5)
    ending, _ = go(run, tokenizer, metrics=lambda step: {"eval_loss": 1.0 + step})
    assert ending == Ending(0)
    assert "no validation was better than the base's own" in warnings(run)[-1]


def test_a_divergence_ends_with_the_adapter_of_the_last_good_checkpoint(make, tokenizer: Any) -> None:
    run = make()
    ending, weights = go(run, tokenizer, At(7, harm))
    assert isinstance(ending.problem, DivergedError) and "loss became nan at step 8" in str(ending.problem)
    assert (
        checkpoints.steps(run.checkpoints) == [ending.step, ending.step - 2][: len(checkpoints.steps(run.checkpoints))]
    )
    assert f"the adapter is that of step {ending.step}" in str(ending.problem)
    assert all(torch.isfinite(one).all() for one in weights.values())


def test_weights_that_are_no_numbers_are_in_no_checkpoint(make, tokenizer: Any) -> None:
    run = make()
    ending, _ = go(run, tokenizer, At(6, harm))
    assert ending.step == 4 and "trained weights" in str(ending.problem)
    assert checkpoints.steps(run.checkpoints) == [4, 2]
    alone = make(checkpoint_steps=7)
    ending, _ = go(alone, tokenizer, At(8, harm))
    assert ending.step == 7 and checkpoints.steps(alone.checkpoints) == [7]
    with pytest.raises(DivergedError, match="no checkpoint was written"):
        go(make(checkpoint_steps=1000), tokenizer, At(6, harm))


def test_a_rollback_goes_on_with_half_the_learning_rate_and_gives_up_at_last(make, tokenizer: Any) -> None:
    run = make(on_divergence="rollback", scheduler="constant", warmup=0.0, validation_steps=5)
    once = iter([True])
    ending, _ = go(run, tokenizer, At(7, lambda model: next(once, False) and harm(model)))
    assert ending == Ending(STEPS)
    assert [event.step for event in events(run, Resumed) if event.reason == "rollback"] == [6]
    rates = [step.learning_rate for step in fold(read_events(run.events)[0]).steps]
    assert rates == [0.02] * 6 + [0.01] * 4
    assert "0.5 times the learning rate" in warnings(run)[0]
    assert len(events(run, Prepared)) == 1

    hopeless = make(on_divergence="rollback", checkpoint_steps=1000)
    with pytest.raises(Killed):
        go(hopeless, tokenizer, At(2, harm), Third(hopeless))
    ending, _ = go(hopeless, tokenizer, At(2, harm))
    assert [event.step for event in events(hopeless, Resumed) if event.reason == "rollback"] == [0, 0, 0]
    assert ending.step == 0 and "after 3 returns" in str(ending.problem)


class Third(TrainerCallback):
    """The process is killed when the training begins for the third time, after two returns."""

    def __init__(self, run: Run) -> None:
        self.run, self.begun = run, 0

    def on_train_begin(self, args, state, control, **kwargs) -> None:
        self.begun += 1
        if self.begun == 3:
            raise Killed


def test_what_was_passed_over_does_not_push_the_new_checkpoints_out(make, tokenizer: Any) -> None:
    run = make(save_total_limit=1, checkpoint_steps=1)
    for step in (8, 9):
        (run.checkpoints / checkpoints.name(step)).mkdir(parents=True)
    with pytest.raises(Killed):
        go(run, tokenizer, At(3, kill))
    assert checkpoints.steps(run.checkpoints) == [2]
    assert ["step 9 is passed" in warnings(run)[0], "step 8 is passed" in warnings(run)[1]] == [True, True]


def test_a_checkpoint_needs_room(make, tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make()
    free = iter([10**12, 10**12, 0])
    monkeypatch.setattr(kept.shutil, "disk_usage", lambda path: SimpleNamespace(free=next(free)))
    ending, _ = go(run, tokenizer)
    assert ending.step == 4 and isinstance(ending.problem, DiskError)
    assert "a checkpoint needs" in str(ending.problem) and "go on from the checkpoint of step 2" in str(ending.problem)
    assert checkpoints.steps(run.checkpoints) == [2]
    free = iter([0])
    with pytest.raises(DiskError, match="the adapter needs"):
        go(run, tokenizer)


def test_a_disk_that_fills_up_costs_no_checkpoint_and_no_adapter(
    make, tokenizer: Any, disk: Callable[[str], Path]
) -> None:
    place = disk("size=40m")
    run = RunStore(place / "runs").create(make(validation_steps=50).config)
    ending, weights = go(run, tokenizer, At(5, lambda model: fill(place)))
    assert isinstance(ending.problem, DiskError) and "go on from the checkpoint of step 4" in str(ending.problem)
    assert ending.step in (5, 6), "the event of a step may still find room, its checkpoint does not"
    for write in (lambda: save_file(weights, place / "one"), lambda: torch.save(weights, place / "two")):
        with pytest.raises(Exception, match=r"os error 28|PytorchStreamWriter|unexpected pos") as refused:
            write()
        assert is_disk_full(refused.value)
    (place / "two").unlink(missing_ok=True)
    fill(place)
    save_adapter(Job(run, "train"), lambda folder: folder.mkdir() or save_file(weights, folder / "w"))
    assert same({**load_file(run.adapter / "w")}, weights)
    assert [checkpoints.read(run.checkpoints, step).step for step in (4, 2)] == [4, 2]
    (place / "filler").unlink()
    assert go(run, tokenizer)[0] == Ending(STEPS)


def test_whatever_finds_the_disk_full_the_weights_are_kept(make, tokenizer: Any) -> None:
    def tracker(model: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "curves")

    ending, _ = go(make(validation_steps=50), tokenizer, At(5, tracker))
    assert ending.step == 5 and isinstance(ending.problem, DiskError) and "No space left" in str(ending.problem)
    with pytest.raises(OSError, match="No space left"):
        go(make(validation_steps=50, max_steps=3), tokenizer, Before(tracker))


class Before(At):
    """Does something before the first step."""

    def __init__(self, do: Callable[[Any], object]) -> None:
        super().__init__(0, do)

    def on_train_begin(self, args, state, control, **kwargs) -> None:
        self.do(kwargs["model"])


def test_a_budget_ends_a_training_like_its_end_and_counts_on_after_a_resume(make, tokenizer: Any) -> None:
    run = make(max_minutes=1e-6, validation_steps=50)
    ending, _ = go(run, tokenizer)
    assert ending.step == 1 and not ending.stopped and ending.problem is None
    assert ending.said.endswith("minutes as train.max_minutes says, at step 1 of 10")
    assert warnings(run)[-1].startswith(ending.said)
    assert [one.step for one in fold(read_events(run.events)[0]).validations] == [0, 1]

    cut = make(validation_steps=50)
    with pytest.raises(Killed):
        go(cut, tokenizer, At(3, kill))
    config = merge(cut.config.model_dump(), {"train": {"max_cost": 1e-9, "price_per_hour": 1.0}})
    (cut.path / "config.json").write_text(parse_config(config).model_dump_json())
    again = Run(cut.path)
    ending, _ = go(again, tokenizer)
    assert (ending.step, ending.stopped) == (2, False) and "train.max_cost says, at step 2 of 10" in ending.said
    assert fold(read_events(cut.events)[0]).steps[-1].step == 2


def test_a_validation_without_memory_is_left_out(make, tokenizer: Any) -> None:
    run = make(scheduler="reduce_lr_on_plateau", warmup=0.0, validation_steps=1)
    with pytest.raises(Killed):
        go(run, tokenizer, At(1, lambda model: refuse(model, training=False)), At(3, kill))
    assert [one.step for one in fold(read_events(run.events)[0]).validations] == [0]
    assert all("goes on without this validation" in said for said in warnings(run)[-1:])
    assert fold(read_events(run.events)[0]).steps[-1].step == 2


def test_rows_that_changed_since_are_refused(make) -> None:
    run = make()
    run.data.mkdir()
    for split in ("train", "validation"):
        (run.data / f"{split}.jsonl").write_text("{}\n")
    job = Job(run, "train")
    belongs, found = checkpoints.take_up(job)
    assert found is None
    checkpoints.write(run.checkpoints, 4, belongs, lambda folder: None)
    found = checkpoints.take_up(job)[1]
    assert found is not None and found.step == 4
    was = found.manifest.belongs.config
    train = {name: value for name, value in was["train"].items() if name != "patience"}  # a field that is new since
    checkpoints.write(run.checkpoints, 4, belongs.model_copy(update={"config": was | {"train": train}}), lambda f: None)
    for given, refused in (({"device": "cpu", "samples": 0, "checkpoint_steps": 9}, None), ({"warmup": 0.5}, "warmup")):
        config = merge(run.config.model_dump(), {"train": given})
        (run.path / "config.json").write_text(parse_config(config).model_dump_json())
        again = Job(Run(run.path), "train")
        if refused:
            with pytest.raises(JobError, match=r"the train\.warmup of run .* changed since"):
                checkpoints.take_up(again)
        else:
            assert checkpoints.take_up(again)[1] is not None
    (run.data / "train.jsonl").write_text("{} \n")
    with pytest.raises(JobError, match=r"the rows of run .* changed since its checkpoint of step 4"):
        checkpoints.take_up(job)


def test_a_resume_goes_on_with_the_recipe_and_tells_what_is_not_as_it_was(make) -> None:
    run = make(micro_batch_tokens=80)
    job = Job(run, "train")
    first = checkpoints.Setup(recipe=Recipe(2.0, 0.02, 4, 60, False), device="cuda", dtype="float32", tokens="a")
    belongs, recipe = checkpoints.made_with(job, MINE, None, first)
    assert recipe == first.recipe
    found = checkpoints.write(run.checkpoints, 4, belongs, lambda folder: None)
    found = checkpoints.read(run.checkpoints, 4)
    chosen = Recipe(3.0, 0.01, 8, 80, True)
    same_place = first.model_copy(update={"recipe": chosen})
    assert checkpoints.made_with(job, MINE, found, same_place)[1] == Recipe(2.0, 0.02, 4, 80, False)
    assert warnings(run) == []
    elsewhere = checkpoints.Setup(recipe=chosen, device="cpu", dtype="float32", tokens="b")
    after, recipe = checkpoints.made_with(job, MINE, found, elsewhere)
    assert recipe == Recipe(2.0, 0.02, 4, 80, True) and after.setup is not None and after.setup.recipe == recipe
    assert "the device and the tokens differ" in warnings(run)[0]


def test_what_is_done_undisturbed_draws_no_random_number() -> None:
    def draw() -> tuple[float, float, float]:
        return random.random(), float(np.random.rand()), torch.rand(()).item()

    set_seed(3)
    expected = draw()
    set_seed(3)
    with pytest.raises(Killed), undisturbed():
        draw()
        raise Killed
    assert draw() == expected


class Poison:
    """What does something when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


def test_a_pickle_in_a_checkpoint_does_nothing(make, tokenizer: Any, tmp_path: Path) -> None:
    run, mark, content = make(), tmp_path / "it-ran", b""
    with pytest.raises(Killed):
        go(run, tokenizer, At(4, kill))
    found = checkpoints.newest(run.checkpoints, lambda said: None)
    assert found is not None
    pickles = sorted(name for name in found.manifest.files if not name.endswith((".json", ".safetensors")))
    assert pickles == ["optimizer.pt", "rng_state.pth", "scheduler.pt"]
    for name in [*pickles, "training_args.bin"]:
        whole = (found.path / name).read_bytes() if name in pickles else None
        torch.save(Poison(mark), found.path / name)
        content = (found.path / name).read_bytes()
        written = checkpoints.FileOf(bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
        forged = found.manifest.model_copy(update={"files": {**found.manifest.files, name: written}})
        (found.path / "manifest.json").write_text(forged.model_dump_json())
        if whole is None:
            assert go(run, tokenizer)[0] == Ending(STEPS)
        else:
            with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
                go(run, tokenizer)
            (found.path / name).write_bytes(whole)
    assert not mark.exists()
    torch.load(io.BytesIO(content), weights_only=False)
    assert mark.exists(), "the poison works"
