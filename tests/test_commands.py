import json
from pathlib import Path

import pytest

from evals.log import write_log
from ftspace import jobs
from ftspace.cli import main
from ftspace.events import EventLog, Finished, Prepared, Started
from ftspace.runs import Run, RunStore
from tests.test_curve import right

QA = "assets/datasets/people_alpaca.jsonl"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["prepare", "/no/such.jsonl", "--out", "OUT"], "/no/such.jsonl"),
        (["prepare", QA, "--out", "README.md"], "README.md is there already"),
        (["prepare", QA, "--out", "OUT", "--public"], "name the repository with --push"),
        (["prepare", QA, "--out", "OUT", "--data.seeds", "1"], "did you mean --data.seed?"),
        (["prepare", QA, "--out", "OUT", "--push", "talks"], "talks names no repository"),
        (["prepare", QA, "--out", "OUT", "--push", "me/talks"], "there is no token"),
        (["curve", "--fractions", "1"], "--fractions 1: give two or more"),
        (["curve", "--data.fraction", "0.5"], "name the shares with --fractions"),
        (["curve", "--eval.tasks", "[]"], "nothing to compare the runs by"),
        (["curve", "--dataset", "/no/such.jsonl"], "/no/such.jsonl"),
    ],
)
def test_the_users_mistakes_end_in_one_line_and_leave_nothing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
) -> None:
    monkeypatch.setenv("FTSPACE_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "no-token"))
    assert main([str(tmp_path / "out") if word == "OUT" else word for word in words]) == 2
    out, err = capsys.readouterr()
    (error,) = [line for line in err.splitlines() if line.startswith("error: ")]
    assert out == "" and said in error and "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_prepare_says_what_it_wrote(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "cache"))
    assert main(["prepare", QA, "--out", str(tmp_path / "out"), "--data.test_fraction", "0.5", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["rows"] == json.loads((tmp_path / "out" / "manifest.json").read_text())["rows"]
    assert (said["license"], said["pushed"]) == (None, None) and said["rows"]["test"] > 10


def test_prepare_warns_of_secrets_before_it_ends_and_counts_all_that_is_left_out(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "cache"))
    rows = [{"question": f"What is {number}?", "answer": "It is " + "very " * (number % 9)} for number in range(60)]
    rows += [rows[0], {"question": "Which key?", "answer": "Take AKIA" + "Q7RT2LXW9ZPB4KD6"}]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ["prepare", str(tmp_path / "rows.jsonl"), "--data.filters", '["duplicate"]', "--data.fraction", "0.5"]
    assert main([*words, "--out", str(tmp_path / "a"), "--json"]) == 0
    out, err = capsys.readouterr()
    said = json.loads(out)
    assert said["removed"] == {"duplicate": 1} and said["unused"] > 10
    assert sum(said["rows"].values()) + said["unused"] == 61
    assert err.index("warning: 1 row holds what looks like an API key") < err.index("prepared in")
    assert main([*words, "--out", str(tmp_path / "b")]) == 0
    out, _ = capsys.readouterr()
    assert "left out: duplicate" in out and "left out: beyond a fraction of 0.5" in out


def test_a_curve_goes_on_after_a_failed_run_and_names_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(run: Run, token: str | None = None) -> None:
        """Leaves at once what the jobs of a run would leave."""
        share, log = run.config.data.fraction, EventLog(run.events)
        log.append(Started(job="train", pid=1))
        rows = {"train": int(100 * share)}
        log.append(
            Prepared(
                rows=rows,
                format="messages",
                total_steps=1,
                trainable_parameters=1,
                parameters=2,
                device="cpu",
                dtype="float32",
            )
        )
        if share == 0.5:
            log.append(Finished(job="train", status="failed", reason="disk", message="the disk is full"))
        else:
            write_log(run.evals / "people" / "tuned.json", right(int(300 * share)))
            log.append(Finished(job="train", status="finished"))
            log.append(Finished(job="evaluate", status="finished"))
        log.close()

    monkeypatch.setattr(jobs, "start", start)
    words = ["curve", "--fractions", "1,0.5,0.25", "--train.max_steps", "2", "--data-dir", str(tmp_path), "--json"]
    assert main(words) == 2
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert [(one["fraction"], one["status"], one["rows"]) for one in found["runs"]] == [
        (0.25, "finished", 25),
        (0.5, "failed", 50),
        (1.0, "finished", 100),
    ]
    assert "going from 25 % to 100 % gained +75.0 points" in found["verdict"]
    assert "error: the disk is full" in err
    made = RunStore(tmp_path / "runs").list()
    assert {run.config.data.fraction for run in made} == {0.25, 0.5, 1.0}
    assert all(run.config.train.max_steps == 2 for run in made)
