import json
from pathlib import Path

import pytest

from ftspace import cli
from ftspace.config import default_config, merge, parse_config
from ftspace.errors import JobError, Reason
from ftspace.events import EventLog, Finished, Prepared, Started, Step, Validation
from ftspace.runs import Run, RunReader, RunStore
from ftspace.sweeps.search import Searcher
from ftspace.sweeps.store import AxisOf, Entry, Sweep, SweepStore

OFFLINE = ["--hub.offline=true"]
SEARCH = ["--grid", "lora.r=4..8", "--search", "optuna"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "give one of --grid, --resume, --show and --list"),
        (["--grid", "lora.r=8", "--list"], "give one of"),
        (["--grid", "train.epoch=1,2"], "did you mean train.epochs"),
        (["--grid", "lora.r=8,none"], "the cell r=none cannot be"),
        (["--grid", "train.seed=" + ",".join(map(str, range(101)))], "that makes 101 runs; say that you mean it"),
        (["--grid", "train.learning_rate=1e-5..1e-3"], "add --search optuna"),
        (["--grid", "lora.r=8,16", "--trials", "3"], "--trials is for a search"),
        ([*SEARCH, "--trials", "1"], "a search has 2 trials or more"),
        ([*SEARCH, "--metric", "bleu"], "--metric ranks a grid"),
        ([*SEARCH, "--data.validation_fraction=0", "--data.validation_split=none"], "there are no rows"),
        (["--grid", "lora.r=8,16", "--metric", "nothing"], "neither a task (heldout, unseen_people, answer_format)"),
        (["--grid", "lora.r=8,16", "--metric", "nowhere:bleu"], "no task nowhere is asked"),
        (["--grid", "lora.r=8,16", "--eval.tasks="], "nothing to compare the cells by"),
        (["--grid", "lora.r=8,16", "--hub.push=me/model", "--hub.offline=false"], "push every cell to one place"),
        (["--resume", "20261123-090000-ffff"], "there is no sweep"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_begins(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["sweep", *OFFLINE, *words, "--data-dir", str(tmp_path)]) == 2
    assert said in capsys.readouterr().err and not list(tmp_path.glob("*/*"))


def test_two_processes_do_not_see_to_one_sweep(tmp_path: Path) -> None:
    sweeps = SweepStore(tmp_path)
    name = "20261123-090000-abcd"
    with sweeps.driving(name), pytest.raises(JobError, match="another process is seeing to"), sweeps.driving(name):
        pass


def test_a_sweep_that_nothing_was_begun_of_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cells = (Entry(name="r=8", values={"lora.r": "8"}), Entry(name="r=16", values={"lora.r": "16"}, problem="no rows"))
    axes = (AxisOf(field="lora.r", values=("8", "16")),)
    found = Sweep(id="20261123-090000-abcd", base=default_config(), axes=axes, cells=cells)
    SweepStore(tmp_path).save(found)
    assert SweepStore(tmp_path).get(found.id).model_dump_json() == found.model_dump_json()
    assert cli.main(["sweep", "--show", found.id, "--json", "--data-dir", str(tmp_path)]) == 2
    told = json.loads(capsys.readouterr().out)
    assert [(one["status"], one["problem"]) for one in told["cells"]] == [
        ("not begun", "it has no score"),
        ("failed", "no rows"),
    ]
    assert told["words"] == ["No cell has a score yet.", "Without a score: r=16 (failed: no rows)."]


def trained(store: RunStore, losses: list[float], *, over: bool = True) -> RunReader:
    """A run that measured these losses, every two steps of eight."""
    run = store.create(parse_config(merge(default_config().model_dump(), {"eval": {"tasks": []}})))
    log = EventLog(run.events)
    log.append(Started(job="train", pid=1))
    log.append(
        Prepared(rows={"train": 8}, format="m", total_steps=8, trainable_parameters=1, parameters=2, device="cpu",
                 dtype="float32")
    )  # fmt: skip
    for place, loss in enumerate(losses):
        log.append(Step(step=2 * place + 2, epoch=1, loss=loss, learning_rate=1e-3, tokens=1, seconds=1))
        log.append(Validation(step=2 * place + 2, loss=loss))
    if over:
        log.append(Finished(job="train", status="finished", seconds=1))
    log.close()
    reader = RunReader(Run(run.path))
    reader.refresh()
    return reader


def test_what_failed_again_or_would_fail_again_is_named_and_the_others_go_on(
    store: RunStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def failed(reason: Reason, said: str) -> str:
        run = store.create(default_config())
        log = EventLog(run.events)
        log.append(Started(job="train", pid=1))
        log.append(Finished(job="train", status="failed", reason=reason, message=said))
        log.close()
        return run.id

    lost, full = failed("lost_process", "the process was lost"), failed("memory", "out of memory")
    cells = (
        Entry(name="r=8", values={"lora.r": "8"}, run=lost, retried=True),
        Entry(name="r=16", values={"lora.r": "16"}, run=full),
        Entry(name="r=32", values={"lora.r": "32"}, run="20260101-000000-abcdefabcdef"),
        Entry(name="fraction=1e-9", values={"data.fraction": 1e-9}),
    )
    axes = (AxisOf(field="lora.r", values=("8", "16", "32")),)
    found = Sweep(id="20261123-090000-abcd", base=default_config(), axes=axes, cells=cells)
    data_dir = store.runs_dir.parent
    SweepStore(data_dir).save(found)
    assert cli.main(["sweep", "--resume", found.id, "--json", "--data-dir", str(data_dir)]) == 1
    out, err = capsys.readouterr()
    assert {one["name"]: one["problem"] for one in json.loads(out)["cells"][:3]} == {
        "r=8": "the process was lost",
        "r=16": "out of memory",
        "r=32": "its run was deleted",
    }
    assert "takes none of" in json.loads(out)["cells"][3]["problem"] and "no run can be made" in err
    assert "tried once more" not in err and not store.ticketed() and len(store.list()) == 2


def test_a_search_ends_a_bad_trial_early_and_chooses_by_what_was_kept(store: RunStore, tmp_path: Path) -> None:
    axes = (AxisOf(field="train.learning_rate", low=1e-5, high=1e-3), AxisOf(field="lora.r", values=("8", "16")))
    found = Sweep(id="20261123-090000-abcd", base=default_config(), axes=axes, search="optuna", trials=6)
    journal = tmp_path / "journal"
    chooser = Searcher(found, journal, 1)
    for place, last in enumerate((1.4, 1.1, 1.3, 1.2)):
        entry = chooser.next(found)
        assert entry is not None and entry.trial == place and 1e-5 <= entry.values["train.learning_rate"] <= 1e-3
        found = found.model_copy(update={"cells": (*found.cells, entry)})
        reader = trained(store, [2.0, 1.8, 1.5, last])
        assert chooser.watch(entry, place, reader) == ""
        chooser.over(entry, place, reader)
    bad = chooser.next(found)
    assert bad is not None and len({one.name for one in (*found.cells, bad)}) == 5
    found = found.model_copy(update={"cells": (*found.cells, bad)})
    why = chooser.watch(bad, 4, trained(store, [4.0], over=False))
    assert why == "at step 2 its validation loss of 4.000 was worse than the median of the trials before"
    gone_on = Searcher(found, journal, 1)  # as another process goes on with it
    assert gone_on.watch(bad, 4, trained(store, [4.0], over=False)) == ""  # it was reported before
    gone_on.over(bad.model_copy(update={"pruned": why}), 4, trained(store, [4.0], over=False))
    best = gone_on.best(found)
    assert best is not None and best.name == found.cells[1].name
    last = gone_on.next(found)
    assert last is not None and gone_on.next(found.model_copy(update={"cells": (*found.cells, last)})) is None
