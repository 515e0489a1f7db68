import json
import math
from pathlib import Path

import pytest

from evals.compare import compare_folder
from evals.log import read_log, write_log
from evals.results import write_results
from ftspace.cli import main
from ftspace.config import default_config
from ftspace.errors import ConfigError, JobError
from ftspace.labels import Label, write_label
from ftspace.report.overlay import Drawn, overlay
from ftspace.runs import Run, RunStore
from ftspace.several import Board, compare_runs, unlike
from tests.finished_run import ROWS, finished_run


def scored(store: RunStore, right: int, title: str = "", **sections: dict[str, object]) -> Run:
    """A run whose tuned model is right on so many of its samples."""
    run = finished_run(store, **sections)
    path = run.evals / "heldout" / "tuned.json"
    log = read_log(path)
    samples = tuple(
        one.model_copy(update={"scores": {**one.scores, "exact_match": float(place < right)}})
        for place, one in enumerate(log.samples)
    )
    write_log(path, log.model_copy(update={"samples": samples}))
    write_results(run.results, compare_folder(run.evals))
    write_label(run, Label(title=title))
    return run


def board(runs: list[Run], metric: str = "") -> Board:
    return compare_runs(runs, metric).boards[0]


def test_the_best_comes_first_and_what_is_shown_is_said(store: RunStore) -> None:
    found = board([scored(store, 10), scored(store, 40, "good"), scored(store, 30)])
    assert [one.letter for one in found.places] == ["B", "C", "A"]
    best = found.places[0]
    assert (best.score, best.n, best.verdict) == (1.0, ROWS, "better") and best.low < 0.95 < best.high == 1.0
    assert found.words.startswith("B is best: by 25.0 points (95 % interval")
    tests = {(one.letter, one.against): one for one in found.duels}
    assert tests["B", "C"].verdict == "better" and tests["B", "A"].p < tests["B", "C"].p < 0.05
    assert tests["C", "A"].delta == pytest.approx(0.5) and not any(one.why for one in found.duels)


def test_p_is_adjusted_for_all_tests_and_the_best_may_not_be_told(store: RunStore) -> None:
    runs = [scored(store, right) for right in (40, 34, 33)]
    two, three = board(runs[:2]), board(runs)
    assert two.duels[0].p < 0.05 < 1 and three.duels[0].p > two.duels[0].p
    close = board(runs[1:])
    assert close.words.startswith("The best cannot be told from the next: A may be no better than B.")
    assert close.duels[0].verdict == "too few to tell" or close.duels[0].verdict == "no difference shown"
    same = board([runs[0], scored(store, 40)])
    assert "cannot be told" in same.words


def test_what_was_asked_otherwise_is_not_tested_and_the_reason_is_said(store: RunStore) -> None:
    one, other = scored(store, 40), scored(store, 10)
    for side in ("base", "tuned"):
        path = other.evals / "heldout" / f"{side}.json"
        log = read_log(path)
        path.unlink()
        spec = log.spec.model_copy(update={"task_hash": "u", "base": "/secret/place", "dtype": "bfloat16"})
        write_log(path, log.model_copy(update={"spec": spec}))
    found = board([one, other])
    (duel,) = found.duels
    assert duel.why == "they were asked other questions and their bases differ, and 1 more" and math.isnan(duel.p)
    assert "it is not known whether B is worse" in found.words and found.places[1].score == 0.25
    (other.evals / "heldout" / "tuned.json").unlink()
    assert "answers of B are not there" in board([one, other]).duels[0].why
    spec = read_log(one.evals / "heldout" / "tuned.json").spec
    assert unlike(spec, spec) == ""


def test_a_run_without_scores_has_an_empty_place_with_its_reason(store: RunStore) -> None:
    one, none = scored(store, 40), store.create(default_config())
    found = compare_runs([one, none])
    assert [(place.letter, place.why) for place in found.boards[0].places] == [("A", ""), ("B", "nothing was compared")]
    assert found.boards[0].words == "Only A has a score here." and found.tests == 0
    assert compare_runs([none, store.create(default_config())]).boards == ()


def test_settings_that_differ_are_told_and_paths_are_not(store: RunStore, tmp_path: Path) -> None:
    rows = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine.jsonl").write_text("{}")
        rows.append(str(tmp_path / name / "mine.jsonl"))
    runs = [
        scored(store, 40, "one", data={"id": rows[0]}, train={"learning_rate": 1e-4}),
        scored(store, 40, "two", data={"id": rows[1]}, model={"id": "owner/small"}),
        scored(store, 40, "three", data={"id": rows[1]}, model={"id": "owner/small"}, train={"learning_rate": 0.001}),
    ]
    found = compare_runs(runs)
    told = {one.field: one.values for one in found.differences}
    assert told["train.learning_rate"] == ("0.0001", "0.001, by itself", "0.001")
    assert told["model.id"][1:] == ("owner/small", "owner/small") and told.keys() >= {"data.id"}
    assert len(set(told["data.id"])) == 2 and "hub.push" not in told and "train.epochs" not in told
    assert str(tmp_path) not in json.dumps(told) + json.dumps(found.unfair)
    assert found.unfair[0].startswith("They start from different bases: A from ")
    assert "B, C from owner/small" in found.unfair[0] and "different datasets" in found.unfair[1]
    assert compare_runs([runs[1], runs[2]]).unfair == ()


def test_losses_are_by_step_or_by_tokens(store: RunStore) -> None:
    runs = [scored(store, 40), scored(store, 30)]
    by_step, by_tokens = compare_runs(runs), compare_runs(runs, by_tokens=True)
    assert by_step.validation[0].points == ((0, 3.0), (3, 2.0)) and len(by_step.training[1].points) == 3
    assert [place for place, _ in by_tokens.training[0].points] == [1, 2, 3]
    drawn = overlay([Drawn(0, "A <b>", by_step.validation[0].points), Drawn(1, "B", ((2, 1.0),))], "step", "Loss")
    assert "A &lt;b&gt; 3.000 at 0 to 2.000 at 3" in drawn and drawn.count("ft-track") == 4
    assert overlay([Drawn(0, "A", ())], "step", "Loss") == ""


def test_the_command_says_the_same(store: RunStore, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [scored(store, 40, "good [one]"), scored(store, 10)]
    words = ["runs", "compare", *(run.id for run in runs), "--data-dir", str(store.runs_dir.parent)]
    assert main([*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["boards"][0]["places"][0]["letter"] == "A" and told["tests"] == 1
    assert main([*words, "--metric", "perplexity"]) == 0
    out = capsys.readouterr().out
    assert "good [one]" in out and "lower is better" in out
    assert main([*words, "--metric", "nothing"]) == 2 and "exact_match" in capsys.readouterr().err


def test_too_few_too_many_and_a_metric_of_none_are_refused(store: RunStore) -> None:
    run = scored(store, 40)
    for runs in ([run], [run] * 9):
        with pytest.raises(JobError, match="2 to 8 runs"):
            compare_runs(runs)
    with pytest.raises(ConfigError, match="none of these runs was scored by nothing"):
        compare_runs([run, run], "nothing")
