"""Sweeps of real runs, a few steps each: what is shared is made once, what fails is tried again, and all is told."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from evals.log import read_log
from ftspace import cli
from ftspace.config import default_config, merge, parse_config
from ftspace.events import EventLog, Finished, Started
from ftspace.labels import read_label
from ftspace.runs import Run, RunStore
from ftspace.settings import ROOT
from ftspace.sweeps.store import AxisOf, Entry, SweepStore
from ftspace.sweeps.store import Sweep as File
from tests.conftest import run_cli

QUICK = [
    "--train.max_steps=4", "--train.samples=0", "--train.validation_steps=2", "--eval.tasks=heldout",
    "--eval.forgetting=", "--eval.shots=0", "--eval.max_samples=40", "--eval.max_new_tokens=8", "--hub.offline=true",
]  # fmt: skip


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sweeps") / "data"


@pytest.fixture(scope="module")
def swept(data_dir: Path) -> dict[str, Any]:
    """A grid of two cells, ended by a Ctrl-C once its first run was begun, and gone on with."""
    command = [sys.executable, "-m", "ftspace", "sweep", "--grid", "train.learning_rate=1e-4,5e-3", "data.fraction=1"]
    env = {**os.environ, "FTSPACE_DATA": str(data_dir)}
    said = ""
    with subprocess.Popen([*command, *QUICK], cwd=ROOT, env=env, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "cell 1 of 2" in line:
                process.send_signal(signal.SIGINT)
            said += line
    assert process.returncode == 130, said
    (sweep_id,) = re.findall(r"ftspace sweep --resume (\S+)", said)
    done = run_cli(data_dir, "sweep", "--resume", sweep_id, "--json", timeout=300)
    assert done.returncode == 0, done.stderr
    return {**json.loads(done.stdout), "stderr": said + done.stderr}


def runs_of(told: dict[str, Any], data_dir: Path) -> list[Run]:
    return [RunStore(data_dir / "runs").get(one["run"]) for one in told["cells"]]


def test_each_cell_is_a_run_of_its_own_with_a_name_and_a_tag(swept: dict[str, Any], data_dir: Path) -> None:
    runs = runs_of(swept, data_dir)
    assert {run.config.train.learning_rate for run in runs} == {1e-4, 5e-3}
    labels = [read_label(run) for run in runs]
    assert {one.title for one in labels} == {"learning_rate=1e-4 fraction=1", "learning_rate=5e-3 fraction=1"}
    assert {one.tags for one in labels} == {(swept["tag"],)}
    assert swept["task"] == "heldout" and swept["looks"] == 2 and swept["words"]
    assert [one["status"] for one in swept["cells"]] == ["finished", "finished"]
    scores = [one["score"] for one in swept["cells"]]
    assert scores == sorted(scores, reverse=True) and all(one["loss"] > 0 for one in swept["cells"])
    assert "2 cells of about" in swept["stderr"] and "the runs that were begun go on" in swept["stderr"]


def test_rows_are_prepared_and_the_base_is_asked_once(swept: dict[str, Any], data_dir: Path) -> None:
    first, second = runs_of(swept, data_dir)
    for name in ("train.jsonl", "test.jsonl"):
        assert (first.data / name).samefile(second.data / name)
    assert swept["stderr"].count("preparing the rows") == 1
    for side in ("base", "base-again"):
        one, other = (read_log(run.evals / "heldout" / f"{side}.json") for run in (first, second))
        assert (one.started, one.seconds) == (other.started, other.seconds)  # the very same answers, asked once
    tuned = [read_log(run.evals / "heldout" / "tuned.json") for run in (first, second)]
    assert tuned[0].started != tuned[1].started
    assert not list((data_dir / "sweeps").glob("*.rows"))


def test_it_can_be_listed_and_shown_again(
    swept: dict[str, Any], data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def told(*words: str) -> str:
        assert cli.main([*words, "--data-dir", str(data_dir)]) == 0
        return capsys.readouterr().out

    assert [(one["sweep"], one["cells"]) for one in json.loads(told("sweep", "--list", "--json"))] == [
        (swept["sweep"], 2)
    ]
    assert swept["words"][0][:40] in told("sweep", "--show", swept["sweep"])
    assert len(json.loads(told("runs", "list", "--tag", swept["tag"], "--json"))) == 2


def test_a_search_is_gone_on_with_and_what_failed_is_tried_once_more(
    swept: dict[str, Any], data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A search of two trials whose first was cut off: its run failed once, and the process that saw to it went."""
    store, sweeps = RunStore(data_dir / "runs"), SweepStore(data_dir)
    config = merge(default_config().model_dump(), {"hub": {"offline": True}, "eval": {"tasks": ["heldout"]}})
    config["train"] |= {"max_steps": 4, "samples": 0, "validation_steps": 2}
    config["eval"] |= {"forgetting": [], "shots": 0, "noise": False, "max_samples": 40, "max_new_tokens": 8}
    base = parse_config(config)
    axes = (AxisOf(field="train.learning_rate", low=1e-4, high=5e-3), AxisOf(field="lora.r", values=("4",)))
    cut_off = store.create(base.model_copy(update={"eval": base.eval.model_copy(update={"tasks": []})}))
    log = EventLog(cut_off.events)
    log.append(Started(job="train", pid=1))
    log.append(Finished(job="train", status="failed", reason="lost_process", message="the process was lost"))
    log.close()
    first = Entry(name="learning_rate=1e-3 r=4", values={"train.learning_rate": 1e-3, "lora.r": 4}, run=cut_off.id)
    found = File(id="20261123-090000-abcd", base=base, axes=axes, search="optuna", trials=2, cells=(first,))
    sweeps.save(found)
    done = run_cli(data_dir, "sweep", "--resume", found.id, "--json", timeout=300)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert "failed (the process was lost); it is tried once more" in done.stderr
    assert [one["status"] for one in told["cells"]] == ["finished", "finished"]
    assert (data_dir / "sweeps" / f"{found.id}.optuna.journal").is_file()
    kept = sweeps.get(found.id)
    assert kept.cells[0].retried and kept.cells[1].trial == 0 and kept.cells[1].best
    assert 1e-4 <= kept.cells[1].values["train.learning_rate"] <= 5e-3
    best = store.get(told["winner"])
    assert not store.get(kept.cells[1].run or "").evals.exists() and best.results.exists()
    assert read_label(best).title == f"best: {kept.cells[1].name}" and told["best"] == kept.cells[1].name
    assert "On the test, by which nothing was chosen" in " ".join(told["words"])
    assert cli.main(["sweep", "--resume", found.id, "--json", "--data-dir", str(data_dir)]) == 0
    assert json.loads(capsys.readouterr().out) == told
