import json
import subprocess
import sys
from pathlib import Path

import pytest

from ftspace.flags import spell_out, unknown_flags
from ftspace.settings import ROOT
from tests.conftest import Cli

EMPTY = "EMPTY.jsonl"
BAD = [
    (["run", "--model", "/no/such/folder"], "no file or folder /no/such/folder"),
    (["run", "--model", "assets"], "config.json is missing"),
    (["run", "--model", "README.md"], "is a file"),
    (["run", "--dataset", "/no/such.jsonl"], "no file or folder /no/such.jsonl"),
    (["run", "--dataset", "assets/datasets/people_text.jsonl"], "plain text only"),
    (["run", "--dataset", EMPTY], "is empty"),
    (["run", "--train.learning_rate", "fast"], "train.learning_rate"),
    (["run", "--train.learn_rate", "1"], "did you mean --train.learning_rate"),
    (["run", "nowhere.yaml"], "cannot read the config nowhere.yaml"),
    (["run", "--eval.tasks", "nowhere.jsonl"], "no task file nowhere.jsonl"),
    (["run", "--eval.tasks", EMPTY], "eval.tasks"),
    (["runs", "show", "../../etc"], "no run '../../etc'"),
    (["runs", "stop", "20260101-000000-aaaaaaaaaaaa"], "no run"),
    (["runs", "delete", "x"], "no run"),
]


@pytest.mark.parametrize(("words", "said"), BAD, ids=[" ".join(words) for words, _ in BAD])
def test_the_users_mistakes_end_in_one_line_status_2_and_no_run(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, words: list[str], said: str
) -> None:
    from ftspace.cli import main

    (tmp_path / EMPTY).write_text("")
    words = [str(tmp_path / EMPTY) if word == EMPTY else word for word in words]
    assert main([*words, "--data-dir", str(tmp_path / "data")]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    (error,) = [line for line in err.splitlines() if line.startswith("error: ")]
    assert said in error
    assert "Traceback" not in err
    assert not list(tmp_path.glob("data/runs/*"))


def test_a_dataset_that_fails_only_when_read_whole_ends_the_run_with_status_2(cli: Cli, tmp_path: Path) -> None:
    good = json.dumps({"question": "1+1?", "answer": "2" * 1000}) + "\n"
    (tmp_path / "rows.jsonl").write_text(good * 20_000 + "{broken\n")  # beyond the block that a preview reads
    done = cli("run", "--dataset", str(tmp_path / "rows.jsonl"), "--json")
    assert done.returncode == 2, done.stderr
    document = json.loads(done.stdout)
    assert (document["status"], document["rows"], document["adapter_path"]) == ("failed", [], None)
    assert "cannot read the dataset" in done.stderr and "Traceback" not in done.stderr


def test_no_runs_yet_is_no_error(cli: Cli) -> None:
    done = cli("runs", "list")
    assert done.returncode == 0 and "no runs" in done.stderr
    assert json.loads(cli("runs", "list", "--json").stdout) == []


def test_doctor_names_what_is_here(cli: Cli) -> None:
    done = cli("doctor", "--json")
    findings = {one["what"]: one for one in json.loads(done.stdout)}
    assert done.returncode == 0
    assert findings["torch"]["level"] == findings["lighteval"]["level"] == "ok"
    assert {"Python", "device", "memory", "disk", "Hub"} <= set(findings)


@pytest.mark.parametrize("module", ["ftspace", "ftspace.cli", "evals", "evals.cli"])
def test_the_command_lines_load_no_heavy_library(module: str) -> None:
    heavy = ["torch", "transformers", "datasets", "gradio", "pandas", "trl", "peft", "lighteval"]
    code = f"import sys, {module}; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_short_flags_stand_for_fields() -> None:
    assert spell_out(["run", "--model", "m", "--dataset=d"]) == ["run", "--model.id", "m", "--data.id=d"]
    assert "did you mean --model?" in unknown_flags(["--modle"])
