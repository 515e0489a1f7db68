import json
from pathlib import Path

import pytest

import evals.cli as cli
from evals.compare import compare_folder
from evals.judge.rubric import DEFAULT
from evals.results import Finding, Results, read_results, write_results
from tests.evals.judge.answers import right, write_answers
from tests.loopback_hub import serve
from tests.loopback_judge import TOKEN, LoopbackJudge, first, honest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An evaluation that has ended, with a finding that only it could make."""
    write_answers(tmp_path, {"base": right(40, range(30)), "tuned": right(40, [33])})
    seen = Finding(kind="contaminated test", tone="note", message="one sample was trained on")
    write_results(tmp_path / "results.json", compare_folder(tmp_path).model_copy(update={"findings": (seen,)}))
    return tmp_path


def test_judging_becomes_part_of_the_results(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JUDGE_TOKEN", TOKEN)
    judge = LoopbackJudge(honest)
    with serve(judge) as address:
        words = ["judge", str(folder), "--judge", f"{address}/v1#big", "--ask", "both", "--price", "3", "--json"]
        assert cli.main([*words, "--dry-run"]) == 0 and not judge.requests
        told = capsys.readouterr()
        assert told.out == "" and "160 verdicts and ratings, 18 of them known; 133 calls" in told.err
        assert "that cost about 0.1" in told.err
        assert cli.main([*words, "--rubric", str(DEFAULT)]) == 0
        said = capsys.readouterr()
        assert len(judge.requests) == 133 and judge.tokens == {f"Bearer {TOKEN}"}
        results = Results.model_validate_json(said.out)
        assert said.out == (folder / "results.json").read_text()
        assert [(row.metric, row.verdict) for row in results.rows if row.role == "judge"] == [
            ("preferred by big", "better"),
            ("rated by big", "better"),
        ]
        assert {finding.kind for finding in results.findings} == {"contaminated test", "judge unproven"}
        assert [one.calls for one in results.judges] == [62, 71]
        assert not any(TOKEN in path.read_text(errors="replace") for path in folder.rglob("*") if path.is_file())
        table = (folder / "table.md").read_text()
        assert "preferred by big" in table and "big prefers tuned 30 times, base 1 times" in table

        # Another judging takes the place of the one before.
        judge.mind = first
        assert cli.main(["judge", str(folder), "--judge", f"{address}/v1#other", "--calls", "30"]) == 0
    results = read_results(folder / "results.json")
    assert [one.judge for one in results.judges] == ["other"] and len(judge.requests) == 163
    assert {finding.kind for finding in results.findings} == {
        "contaminated test",
        "judge fails",
        "judge favours a position",
        "judge unproven",
    }
    lines = [json.loads(line) for line in (folder / "judgements.jsonl").read_text().splitlines()]
    assert sum(line["missing"] == "the budget is spent" for line in lines) == 32


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--judge", "http://h/v1"], "not an endpoint"),
        (["--judge", "http://h/v1#m", "--money", "3"], "price"),
        (["--judge", "http://h/v1#m", "--calls", "0"], "above 0"),
        (["--judge", "http://h/v1#m", "--tasks", "none"], "did not ask it of base and tuned"),
        (["--judge", "http://h/v1#m", "--rubric", "none.yaml"], "can't be read"),
    ],
)
def test_a_mistake_is_one_line(folder: Path, words: list[str], reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["judge", str(folder), *words]) == 2
    said = capsys.readouterr().err
    assert reason in said and said.count("\n") == 1
