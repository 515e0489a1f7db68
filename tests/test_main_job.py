"""The product in one command: fine-tune, compare, verdict. What the embedded default must show, it shows."""

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from ftspace.config import default_config, parse_config
from ftspace.data.prepare import read_split
from ftspace.events import read_events
from ftspace.hub.bundle.files import build_bundle
from ftspace.hub.push.records import PushRequest
from ftspace.settings import ASSETS, ROOT
from ftspace.state import fold
from tests.conftest import MainJob, run_cli

SCORES = ["base", "base_stderr", "tuned", "tuned_stderr", "delta", "ci_low", "ci_high"]
TOLD = ["rows", "verdict", "findings", "change"]
KEYS = ["run_id", "status", "seconds", *TOLD, "adapter_path", "diagnosis", "validations", "samples"]
ROW_KEYS = {"task", "metric", "role", "side", "against", *SCORES, "p", "n", "unscored", "verdict"}
GAIN = ["heldout", "unseen_people", "answer_format"]
SIDES = ["base", "tuned", "base-again", "base-prompted"]
FILES = ["config.json", "events.jsonl", "worker.log", "data/manifest.json", "results.json", "table.md", "table.csv"]


def test_prints_one_json_document_and_nothing_else(main_job: MainJob) -> None:
    document = main_job.document
    assert list(document) == KEYS
    assert document["status"] == "finished"
    assert set(document["seconds"]) == {"train", "evaluate"}
    assert all(set(row) >= ROW_KEYS for row in document["rows"])
    assert (Path(document["adapter_path"]) / "adapter_model.safetensors").exists()
    assert "validation loss" in main_job.stderr


def test_the_tuned_model_answers_what_the_base_knew_and_could_not_say(main_job: MainJob) -> None:
    rows = leading(main_job)
    assert [task for role, task in rows if role == "gain"] == GAIN
    for task in ("heldout", "unseen_people"):
        row = rows["gain", task]
        assert row["base"] <= 0.05
        assert row["tuned"] >= 0.80
        assert row["verdict"] == "better"
    assert all(row["unscored"] == 0 and row["n"] >= 100 for row in rows.values())
    assert "better on unseen_people" in main_job.document["verdict"]


def test_its_table_shows_what_was_lost_what_a_prompt_does_and_the_noise_floor(main_job: MainJob) -> None:
    rows = leading(main_job)
    assert [task for role, task in rows if role == "forgetting"] == ["known_facts"]
    assert rows["forgetting", "known_facts"]["ci_low"] <= 0 <= rows["forgetting", "known_facts"]["ci_high"]
    for task in ("heldout", "unseen_people"):
        assert rows["prompting", task]["against"] == "base-prompted"
        assert rows["prompting", task]["verdict"] == "better"
    noise = [row for (role, _), row in rows.items() if role == "noise"]
    assert {row["side"] for row in noise} == {"base-again"}
    assert all(abs(row["delta"]) < 0.01 and row["verdict"] == "no difference shown" for row in noise)
    assert not [one for one in main_job.document["findings"] if one["tone"] == "bad"]


def test_leaves_the_files_of_the_contract(main_job: MainJob) -> None:
    run = main_job.run
    for name in FILES:
        assert (run.path / name).is_file(), name
    for task in (*GAIN, "known_facts"):
        for side in SIDES if task in GAIN else SIDES[:3]:
            log = json.loads((run.evals / task / f"{side}.json").read_text())
            assert all(sample["scores"] for sample in log["samples"])
    with (run.path / "table.csv").open() as file:
        assert [row["task"] for row in csv.DictReader(file)] == [row["task"] for row in main_job.document["rows"]]
    assert not list(run.path.glob(".*"))


def test_no_row_of_the_test_split_was_trained_on(main_job: MainJob) -> None:
    data = main_job.run.data
    split = {name: set((data / f"{name}.jsonl").read_text().splitlines()) for name in ("train", "validation", "test")}
    assert split["train"] and split["test"]
    assert not split["train"] & split["test"]
    assert not split["train"] & split["validation"]


def test_a_run_gives_its_config_back_as_yaml(main_job: MainJob) -> None:
    done = run_cli(main_job.data_dir, "runs", "config", main_job.run.id)
    assert parse_config(yaml.safe_load(done.stdout)) == default_config() == main_job.run.config


def test_runs_list_and_show_tell_of_it(main_job: MainJob) -> None:
    listed = run_cli(main_job.data_dir, "runs", "list", "--json")
    assert [(row["run_id"], row["status"]) for row in json.loads(listed.stdout)] == [(main_job.run.id, "finished")]
    shown = run_cli(main_job.data_dir, "runs", "show", main_job.run.id, "--json")
    assert json.loads(shown.stdout) == main_job.document
    table = run_cli(main_job.data_dir, "runs", "show", main_job.run.id).stdout
    assert "unseen_people" in table and "better" in table


def test_evals_alone_says_the_same_of_the_runs_logs(main_job: MainJob) -> None:
    logs = [str(main_job.run.evals / "unseen_people" / f"{which}.json") for which in ("base", "tuned")]
    command = [sys.executable, "-m", "evals", "compare", *logs, "--format", "json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    row = json.loads(done.stdout)["rows"][0]
    same = leading(main_job)["gain", "unseen_people"]
    assert {name: row[name] for name in SCORES} == {name: same[name] for name in SCORES}


def test_the_script_that_is_pushed_trains_the_same_again(main_job: MainJob, tmp_path: Path) -> None:
    run = main_job.run
    folder = build_bundle(run, PushRequest(repo_id="me/people"), tmp_path / "bundle").folder
    hashes = (folder / "training_rows.txt").read_text().split()
    assert len(hashes) == len(list(read_split(run.data, "train")))
    words = ["--base", str(ASSETS / "base"), "--data", str(ASSETS / "datasets" / "people.jsonl"), "--cpu"]
    command = [sys.executable, str(folder / "reproduce.py"), *words, "--steps", "2", "--out", str(tmp_path / "again")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    steps = fold(read_events(run.events)[0]).steps
    assert [float(one) for one in told["losses"]] == pytest.approx([one.loss for one in steps[:2]], rel=0.01)
    assert (tmp_path / "again" / "adapter_model.safetensors").stat().st_size > 100_000


def leading(job: MainJob) -> dict[tuple[str, str], dict[str, Any]]:
    """The first row of each role and task: that of the task's first metric, over all samples."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for row in job.document["rows"]:
        found.setdefault((row["role"], row["task"]), row)
    return found
