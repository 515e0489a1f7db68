import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import evals.cli as cli
from evals.log import read_log, write_log
from evals.results import Results, Row, write_results
from tests.evals.test_compare import log_of

ROOT = Path(__file__).parents[2]
TASK = "\n".join(f'{{"question": "Where is Ben {n} from?", "answer": "Rome"}}' for n in range(3))


def test_help_answers_at_once() -> None:
    started = time.perf_counter()
    words = [sys.executable, "-m", "evals", "--help"]
    done = subprocess.run(words, cwd=ROOT, env={"PATH": ""}, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "compare" in done.stdout
    assert time.perf_counter() - started < 1


def test_light_modules_import_no_torch() -> None:
    names = "evals evals.cli evals.log evals.tasks evals.stats evals.compare evals.table evals.run"
    code = f"import sys, {', '.join(names.split())}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"torch", "transformers", "peft", "lighteval", "scipy", "rich"} & set(done.stdout.split())


def test_run_prints_one_json_document_and_writes_everything(
    tmp_path: Path, bases: dict[str, Path], adapters: dict[str, Path], capfd: pytest.CaptureFixture[str]
) -> None:
    def printed(*arguments: str | Path) -> str:
        capfd.readouterr()
        assert cli.main([str(one) for one in arguments]) == 0
        return capfd.readouterr().out

    (tmp_path / "people.jsonl").write_text(TASK)
    (tmp_path / "facts.jsonl").write_text('{"question": "A likes", "choices": [" b", " c"], "answer": 0, "raw": true}')
    turns = [{"role": "user", "content": "Where is Zoe from?"}, {"role": "assistant", "content": "Rome"}]
    (tmp_path / "examples.jsonl").write_text(json.dumps({"messages": turns}) + "\n")
    (tmp_path / "rows.jsonl").write_text(
        json.dumps({"messages": [{"role": "user", "content": "Where is Ben 1 from? Rome"}]})
    )
    out = tmp_path / "out"
    document = printed(
        *("run", "--base", bases["tied"], "--tuned", adapters["tied"], "--tasks", tmp_path / "people.jsonl"),
        *("--out", out, "--max-new-tokens", "4", "--limit", "2", "--forgetting", tmp_path / "facts.jsonl", "--noise"),
        *("--shots", "1", "--examples", tmp_path / "examples.jsonl", "--trained-on", tmp_path / "rows.jsonl"),
        *("--earlier", f"twin={adapters['untied']}", "--metrics", "exact_match,bleu", "--json"),
    )
    results = Results.model_validate_json(document)
    assert results.rows[0].n == 2 and results.verdict.startswith("too few to tell on people by exact_match (n = 2)")
    assert {"gain", "forgetting", "prompting", "earlier", "noise"} == {row.role for row in results.rows}
    assert any(row.metric == "bleu" for row in results.rows) and results.change is not None
    assert [one.overlap for one in read_log(out / "people" / "base.json").samples] == [False, True]
    assert (out / "results.json").read_text() == document
    for name in ("table.md", "table.csv", "people/base.json", "people/tuned.json"):
        assert (out / name).is_file()
    assert "exact_match" in printed("table", out)
    both = (out / "people" / "base.json", out / "people" / "tuned.json")
    compared = Results.model_validate_json(printed("compare", *both, "--format", "json"))
    assert compared.rows[0].metric == "exact_match"
    assert printed("table", out, "--again", "--format", "json") == document


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    scores = dict.fromkeys(("base", "base_stderr", "tuned", "tuned_stderr", "delta", "ci_low", "ci_high"), 0.5)
    row = Row(task="people", metric="m", n=40, unscored=0, verdict="better", **scores)
    write_results(tmp_path / "results.json", Results(rows=(row,), verdict="better on people"))
    return tmp_path


@pytest.mark.parametrize("form", cli.FORMATS)
def test_table_has_many_forms(form: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["table", str(folder), "--format", form]) == 0
    out = capsys.readouterr().out
    assert "people" in out and "better" in out
    if form == "json":
        assert json.loads(out)["rows"][0]["task"] == "people"


def test_mistakes_are_one_line_and_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_log(tmp_path / "one.json", log_of("base", [1.0]))
    write_log(tmp_path / "other.json", log_of("tuned", [1.0], dtype="bfloat16"))
    task = tmp_path / "task.jsonl"
    task.write_text(TASK)
    run = ["run", "--out", str(tmp_path / "out"), "--tasks"]
    cases: list[tuple[list[str], str]] = [
        (["table", str(tmp_path / "none")], "there are no logs"),
        (["compare", str(tmp_path / "one.json"), str(tmp_path / "other.json")], "dtype"),
        (["compare", str(tmp_path / "one.json"), str(tmp_path / "none.json")], "can't be read"),
        ([*run, str(tmp_path / "none.jsonl"), "--base", "m"], "no such task file"),
        ([*run, str(task), "--base", "/nowhere"], "no such folder"),
        ([*run, str(task), "--base", "/nowhere", "--chat-template", "/nowhere"], "chat template"),
        ([*run, str(task), "--base", "/nowhere", "--limit", "0"], "at least 1"),
        ([*run, str(task), "--base", "/nowhere", "--forgetting", str(task)], "two tasks are called task"),
        ([*run, str(task), "--base", "/nowhere", "--metrics", "bleux"], "did you mean bleu"),
        ([*run, str(task), "--base", "/nowhere", "--earlier", "x"], "write NAME=ADAPTER"),
        ([*run, str(task), "--base", "/nowhere", "--reference", "http://x/v1"], "write URL#MODEL"),
        ([*run, str(task), "--base", "/nowhere", "--shots", "2"], "--examples"),
        ([*run, str(task), "--base", "/nowhere", "--shots", "2", "--examples", str(task)], "an example is"),
        ([*run, str(task), "--base", "/nowhere", "--trained-on", "/nowhere"], "training rows can't be read"),
    ]
    for arguments, words in cases:
        assert cli.main(arguments) == 2
        captured = capsys.readouterr()
        lines = [line for line in captured.err.splitlines() if line.strip()]
        assert len(lines) == 1 and lines[0].startswith("evals: ") and words in lines[0], captured.err
        assert captured.out == ""
    for arguments in ([], ["fly"], ["run"], ["table", "x", "--format", "gif"]):
        with pytest.raises(SystemExit) as caught:
            cli.main(arguments)
        assert caught.value.code == 2
        assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_it_in_one_line_that_says_how_to_go_on(
    number: int, status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "task.jsonl").write_text(TASK)
    monkeypatch.setattr("evals.run.evaluate", lambda *_, **__: signal.raise_signal(number))
    before = signal.getsignal(signal.SIGTERM)
    out = str(tmp_path / "out")
    assert cli.main(["run", "--base", "m", "--tasks", str(tmp_path / "task.jsonl"), "--out", out]) == status
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said == f"evals: interrupted; finished logs stay in {out}, and the same command goes on from them"
    assert signal.getsignal(signal.SIGTERM) == before
