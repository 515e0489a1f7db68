from collections.abc import Sequence
from itertools import product

import pytest

from ftspace.config import RunConfig, default_config
from ftspace.events import Evaluated, Event, EventLog, Finished, Progress, Resumed, Started, Step, Warned
from ftspace.listing import WINDOW, Damaged, Glance, Listed, listed
from ftspace.runs import Run, RunReader, RunStore

TRAIN, EVALUATE = Started(job="train", pid=1), Started(job="evaluate", pid=2)
TRAINED = Finished(job="train", status="finished")
STEP = Step(step=1, epoch=0, loss=1, learning_rate=0, tokens=0, seconds=1)
ASKED = Progress(task="heldout", which="base", done=1, total=2)
CONFIGS = {"with tasks": default_config(), "without": RunConfig()}


def tell(run: Run, events: Sequence[Event]) -> None:
    log = EventLog(run.events)
    for event in events:
        log.append(event)
    log.close()


@pytest.mark.parametrize(
    "events",
    [
        [],
        [TRAIN],
        [TRAIN, STEP],
        [TRAIN, STEP, TRAINED],
        [TRAIN, TRAINED, EVALUATE],
        [TRAIN, TRAINED, EVALUATE, ASKED, Evaluated(verdict="better"), Finished(job="evaluate", status="finished")],
        [TRAIN, TRAINED, EVALUATE, Evaluated(verdict="better"), Finished(job="evaluate", status="failed")],
        [TRAIN, Finished(job="train", status="cancelled"), TRAIN, Resumed(step=0), STEP],
        [TRAIN, Finished(job="train", status="failed"), Warned(message='"type":"finished"')],
        [TRAIN, TRAINED, EVALUATE, Finished(job="evaluate", status="failed"), EVALUATE],
    ],
    ids=lambda events: "-".join(event.type for event in events),
)
def test_the_end_of_the_events_says_what_all_of_them_say(store: RunStore, events: list[Event]) -> None:
    for (name, config), alive, stop in product(CONFIGS.items(), (False, True), (False, True)):
        run = store.create(config)
        tell(run, [*events[:1], *[STEP] * (WINDOW // 100), *events[1:]])
        whole, glance = RunReader(run), Glance(run)
        for reader in (whole, glance):
            reader.refresh()
        told = [one.state.status(run.jobs, alive=alive, stop_requested=stop) for one in (glance, whole)]
        assert told[0] == told[1], name
        assert glance.state.verdict == whole.state.verdict


def test_a_run_with_a_damaged_config_is_listed_as_such(store: RunStore) -> None:
    sound, damaged = store.create(RunConfig()), store.create(RunConfig())
    (damaged.path / "config.json").write_text("{")
    found = {one.run.id: one for one in listed(store)}
    assert found[sound.id] == Listed(sound, "interrupted", "")
    assert isinstance(found[damaged.id], Damaged)
    assert len(listed(store, most=1)) == 1
