from dataclasses import replace

import pytest

from ftspace.config import RunConfig, anchor, default_config, merge, parse_config
from ftspace.devices import Speed, keep_speed
from ftspace.errors import ConfigError, ModelError
from ftspace.events import EventLog, Finished
from ftspace.hub.jobs.flavors import TABLE
from ftspace.runs import RunStore
from ftspace.training.facts import Facts, find_facts
from ftspace.ui.tune import outlook
from ftspace.ui.tune.outlook import Outlooks, where

CONFIG = anchor(default_config())


def changed(**sections: object) -> RunConfig:
    return parse_config(merge(CONFIG.model_dump(), dict(sections)))


def test_a_shorter_run_takes_less_and_asks_less(store: RunStore) -> None:
    looks: list[str] = []

    def find(config: RunConfig) -> Facts:
        looks.append(config.model.id)
        return find_facts(config)

    outlooks = Outlooks(store, find)
    assert not outlooks.knows(CONFIG, "")
    whole = outlooks.of(CONFIG, "")
    short = outlooks.of(changed(train={"max_steps": 10}, eval={"max_samples": 20, "noise": False}), "")
    assert outlooks.knows(CONFIG, "") and len(looks) == 1
    assert not outlooks.knows(CONFIG, "ann") and not outlooks.knows(changed(train={"max_length": 99}), "")
    assert short.seconds < whole.seconds and short.training < whole.training and short.asking < whole.asking
    assert (short.steps, short.questions, short.sides) == (10, 80, 3)
    assert (whole.steps, whole.questions, whole.sides) == (192, 730, 4)
    assert whole.fits and whole.needs > 500e6 and whole.cost is None and whole.rough
    assert outlooks.of(changed(eval={"tasks": [], "forgetting": []}), "").asking == 0


def test_a_price_and_a_limit_are_reckoned_with(store: RunStore) -> None:
    outlooks = Outlooks(store)
    dear = outlooks.of(changed(train={"price_per_hour": 36.0}), "")
    assert dear.cost == pytest.approx(dear.seconds / 100)
    limited = outlooks.of(changed(train={"max_minutes": 0.01}), "")
    assert limited.training < dear.training
    with pytest.raises(ConfigError, match=r"train\.max_cost"):
        outlooks.of(changed(train={"max_cost": 1.0, "device": "cpu"}), "")


def test_what_runs_like_it_took_corrects_the_time(store: RunStore) -> None:
    outlooks = Outlooks(store)
    before = outlooks.of(CONFIG, "")
    for seconds in (1.5, 2.0, 40.0):
        log = EventLog(store.create(CONFIG).events)
        log.append(Finished(job="train", status="finished", reason="", message="", seconds=seconds * before.training))
        log.append(Finished(job="evaluate", status="finished", reason="", message="", seconds=3 * before.asking))
        log.close()
    other = EventLog(store.create(changed(data={"max_samples": 50})).events)  # other rows say nothing
    other.append(Finished(job="train", status="finished", reason="", message="", seconds=0.1))
    other.append(Finished(job="evaluate", status="finished", reason="", message="", seconds=0.1))
    other.close()
    outlooks = Outlooks(store)
    found = outlooks.of(CONFIG, "")
    assert (found.like, found.rough) == (3, False)
    assert found.training == pytest.approx(2.0 * before.training)
    assert found.asking == pytest.approx(3.0 * before.asking)
    short = changed(train={"max_steps": 10})
    assert outlooks.of(short, "").training > 1.2 * Outlooks(RunStore(store.runs_dir / "none")).of(short, "").training


def test_a_measured_machine_is_no_guess(store: RunStore) -> None:
    outlooks = Outlooks(store)
    assert outlooks.of(CONFIG, "").rough
    keep_speed(store.runs_dir.parent, Speed(1e12, 1e12, 1e11, 1e-6))
    assert not outlooks.of(CONFIG, "").rough


def test_what_cannot_be_found_is_not_looked_for_at_each_letter(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[str] = []

    def find(config: RunConfig) -> Facts:
        looks.append(config.model.id)
        raise ModelError("there is no such model")

    outlooks = Outlooks(store, find)
    for _ in range(3):
        with pytest.raises(ModelError, match="no such model"):
            outlooks.of(CONFIG, "")
    assert len(looks) == 1
    monkeypatch.setattr(outlook, "_AGAIN", -1.0)
    assert not outlooks.knows(CONFIG, "")


def test_open_fields_are_told_with_their_reasons(store: RunStore) -> None:
    outlooks = Outlooks(store)
    found = outlooks.guesses(changed(train={"epochs": None, "learning_rate": None}), "")
    assert found["train.epochs"].value == "3" and "1,530 training rows" in found["train.epochs"].why
    assert found["train.learning_rate"].value == "0.001" and "million" in found["train.learning_rate"].why
    assert found["train.gradient_checkpointing"].value == "off" and found["train.device"].value == "cpu"
    assert not {"train.epochs", "train.learning_rate", "train.max_steps"} & set(
        outlooks.guesses(changed(train={"max_steps": 5}), "")
    )


def test_where_it_runs_is_said(store: RunStore) -> None:
    here = Outlooks(store).here("cpu")
    assert where(replace(here, cores=1, memory=2 * 10**9)).endswith("with 2.0 GB of memory free now.")
    assert "1 core" in where(replace(here, cores=1))


def test_a_job_of_the_hub_is_reckoned_for_its_own_machine(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outlook, "offered", lambda: TABLE)
    outlooks = Outlooks(store)
    there = outlooks.of(changed(launch={"launcher": "hf-jobs", "flavor": "a10g-small"}), "")
    here = outlooks.of(CONFIG, "")
    assert (there.steps, there.questions) == (here.steps, here.questions)
    assert there.flavor == "a10g-small" and there.rough and there.has != here.has
    assert there.cost == pytest.approx(there.seconds / 3600)
    said = outlooks.where(changed(launch={"launcher": "hf-jobs", "flavor": "a10g-small"}))
    assert said == "Reckoned for a job of the Hub on a10g-small: A10G with 24 GB. An hour of it costs $1.00."
    guessed = outlooks.guesses(changed(launch={"launcher": "hf-jobs", "flavor": "t4-small"}), "")
    assert (guessed["train.device"].value, guessed["train.price_per_hour"].value) == ("cuda", "0.4")
    with pytest.raises(ConfigError, match="did you mean a10g-small"):
        outlooks.of(changed(launch={"launcher": "hf-jobs", "flavor": "a10g-smal"}), "")
