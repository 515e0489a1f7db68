"""The product in one command: fine-tune, compare, verdict. What the embedded default must show, it shows."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import yaml

from ftspace.config import default_config, parse_config
from ftspace.settings import ROOT
from tests.conftest import MainJob, run_cli

SCORES = ["base", "base_stderr", "tuned", "tuned_stderr", "delta", "ci_low", "ci_high"]
KEYS = ["run_id", "status", "seconds", "rows", "verdict", "adapter_path", "diagnosis", "validations", "samples"]
ROW_KEYS = ["task", "metric", *SCORES, "n", "unscored", "verdict"]
FILES = ["config.json", "events.jsonl", "worker.log", "data/manifest.json", "results.json", "table.md", "table.csv"]


def test_prints_one_json_document_and_nothing_else(main_job: MainJob) -> None:
    document = main_job.document
    assert list(document) == KEYS
    assert document["status"] == "finished"
    assert set(document["seconds"]) == {"train", "evaluate"}
    assert all(list(row) == ROW_KEYS for row in document["rows"])
    assert (Path(document["adapter_path"]) / "adapter_model.safetensors").exists()
    assert "validation loss" in main_job.stderr


def test_the_tuned_model_answers_what_the_base_knew_and_could_not_say(main_job: MainJob) -> None:
    rows = {row["task"]: row for row in main_job.document["rows"]}
    assert list(rows) == ["heldout", "unseen_people", "known_facts", "answer_format"]
    for task in ("heldout", "unseen_people"):
        assert rows[task]["base"] <= 0.05
        assert rows[task]["tuned"] >= 0.80
        assert rows[task]["verdict"] == "better"
    assert rows["known_facts"]["ci_low"] <= 0 <= rows["known_facts"]["ci_high"]
    assert all(row["unscored"] == 0 and row["n"] >= 100 for row in rows.values())
    assert "better on unseen_people" in main_job.document["verdict"]


def test_leaves_the_files_of_the_contract(main_job: MainJob) -> None:
    run = main_job.run
    for name in FILES:
        assert (run.path / name).is_file(), name
    for task in ("heldout", "unseen_people", "known_facts", "answer_format"):
        for which in ("base", "tuned"):
            log = json.loads((run.evals / task / f"{which}.json").read_text())
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
    (row,) = json.loads(done.stdout)["rows"]
    assert row == next(one for one in main_job.document["rows"] if one["task"] == "unseen_people")
