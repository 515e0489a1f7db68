import json
import subprocess
import sys
from pathlib import Path

import pytest

from ftspace.cli import main
from ftspace.config import RunConfig
from ftspace.events import EventLog
from ftspace.flags import spell_out, unknown_flags
from ftspace.runs import RunStore
from ftspace.settings import ROOT
from tests.conftest import Cli
from tests.training.simulated import overfitting

EMPTY, QA = "EMPTY.jsonl", "assets/datasets/people_alpaca.jsonl"
BAD = [
    (["run", "--model", "/no/such/folder"], "no file or folder /no/such/folder"),
    (["run", "--model", "assets"], "config.json is missing"),
    (["run", "--model", "README.md"], "is a file"),
    (["run", "--dataset", "/no/such.jsonl"], "no file or folder /no/such.jsonl"),
    (["run", "--dataset", "assets/datasets/people_text.jsonl"], "plain text only"),
    (["run", "--dataset", EMPTY], "is empty"),
    (["inspect", "/no/such.jsonl"], "no file or folder /no/such.jsonl"),
    (["inspect", "assets/datasets/people_text.jsonl"], "plain text only"),
    (["inspect", "assets/datasets/people.jsonl", "--model", "/no/such/folder"], "no file or folder /no/such/folder"),
    (["inspect", QA, "--data.mapping", "prompt=instruction"], "the completion is not given"),
    (
        ["inspect", QA, "--data.mapping", '{"prompt": "instructio", "completion": "output"}'],
        "did you mean instruction?",
    ),
    (["inspect", QA, "--data.mapping", "messages=instruction"], "row 1 cannot be used: no turns"),
    (["run", "--train.learning_rate", "fast"], "train.learning_rate"),
    (["run", "--train.learn_rate", "1"], "did you mean --train.learning_rate"),
    (["run", "nowhere.yaml"], "cannot read the config nowhere.yaml"),
    (["run", "--eval.tasks", "nowhere.jsonl"], "no task nowhere.jsonl"),
    (["run", "--eval.tasks", EMPTY], "eval.tasks"),
    (["run", "--eval.forgetting", "known_fact.jsonl"], "did you mean assets/tasks/known_facts.jsonl?"),
    (
        ["run", "--eval.tasks", "gsm8kk|4"],
        "there is no task gsm8kk: it is no file, no bundled suite and no task of LightEval's; near names: gsm8k",
    ),
    (["run", "--eval.forgetting", "generl"], "did you mean general?"),
    (["run", "--eval.tasks", "gsm8k|many"], "eval.tasks: 'gsm8k|many': the number of solved examples"),
    (["run", "--eval.metrics", "exact_mach"], "did you mean exact_match?"),
    (["run", "--eval.metrics", "semantic_similarity"], "eval.metrics: the metric semantic_similarity needs"),
    (["run", "--eval.earlier", "20260101-000000-aaaaaaaaaaaa"], "no run '20260101-000000-aaaaaaaaaaaa'"),
    (["run", "--eval.earlier", "checkpoint"], "eval.earlier: checkpoint is neither"),
    (["run", "--eval.judges", "hub:model"], "eval.judges: hub:model: not a judge"),
    (["run", "--eval.reference", "http://user:pass@host/v1#m"], "eval: reference is an address"),
    (["runs", "show", "../../etc"], "no run '../../etc'"),
    (["runs", "stop", "20260101-000000-aaaaaaaaaaaa"], "no run"),
    (["runs", "delete", "x"], "no run"),
]


@pytest.mark.parametrize(("words", "said"), BAD, ids=[" ".join(words) for words, _ in BAD])
def test_the_users_mistakes_end_in_one_line_status_2_and_no_run(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, words: list[str], said: str
) -> None:
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


def test_a_run_is_shown_with_what_its_curves_say(store: RunStore, capsys: pytest.CaptureFixture[str]) -> None:
    run = store.create(RunConfig())
    log = EventLog(run.events)
    for event in overfitting(1):
        log.append(event)
    show = ["runs", "show", run.id, "--data-dir", str(store.runs_dir.parent)]
    assert main([*show, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["diagnosis"]
    assert (found["kind"], len(found["evidence"])) == ("overfitting", 2)
    assert main(show) == 0
    assert found["words"].rstrip(".") in " ".join(capsys.readouterr().out.split())


def test_inspect_says_how_a_dataset_would_be_trained(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    rows = [{"Frage": f"What is {n} plus one?", "Antwort": f"It is {n + 1}." * (1 + 99 * (n == 7))} for n in range(40)]
    rows.append({"Frage": "And?", "Antwort": ""})
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ["--data.prompt_template", "Reckon! {Frage}", "--data.mapping", "completion=Antwort"]
    words += ["--model", "assets/base", "--train.max_length=64", "--json"]
    assert main(["inspect", str(tmp_path / "rows.jsonl"), *words]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["format"], found["confidence"]) == ("given: prompt/completion", 1.0)
    assert found["mapping"] == {"prompt": "Reckon! {Frage}", "completion": "Antwort"}
    assert (found["rows"], found["dropped"]) == (41, {"empty answer": 1})
    tokens = found["tokens"]
    assert 0 < tokens["p50"] <= tokens["p95"] < 64 < tokens["max"] < tokens["total"]
    assert found["truncated_share"] == 1 / 40 and 0 < found["supervised_share"] < 1
    assert len(found["preview"]) == 3
    first = found["preview"][0]
    assert first["messages"][0] == {"role": "user", "content": "Reckon! What is 0 plus one?"}
    assert first["rendered"].count("Reckon! What is 0 plus one?") == 1 and "<|im_end|>" in first["rendered"]
    assert [first["rendered"][start:stop] for start, stop in first["trained"]] == ["It is 1.<|im_end|>"]
    assert any("ChatML" in check["detail"] for check in found["checks"])


def test_inspect_shows_people_a_table_and_what_to_decide(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "1+1?"}, {"role": "assistant", "content": "[bold]2"}]
    row = {"problem": "1+1?", "solution": "2", "messages": turns}
    (tmp_path / "rows.jsonl").write_text((json.dumps(row) + "\n") * 3)
    assert main(["inspect", str(tmp_path / "rows.jsonl")]) == 0
    shown = capsys.readouterr().out
    assert "messages = messages" in shown and "it could also be problem/solution" in shown
    assert "[bold]2<|im_end|>" in shown and "every answer and its end" in shown
    assert main(["inspect", str(tmp_path / "rows.jsonl"), "--train.loss_on", "all"]) == 0
    assert "all of a conversation but its first token" in capsys.readouterr().out


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
