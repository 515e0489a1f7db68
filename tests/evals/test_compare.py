import math
from typing import Any

import pytest

from evals.compare import alone, compare, side_by_side
from evals.errors import LogError
from evals.log import EvalLog, EvalSpec, Sample

SPEC = EvalSpec(
    base="owner/name",
    task="people",
    task_hash="abc",
    kind="generation",
    n=0,
    dtype="float32",
    device="cpu",
    tokenizer_hash="t",
    max_new_tokens=8,
    end_ids=(0,),
    batch_tokens=100,
    seed=0,
    versions={"torch": "1", "peft": "2"},
)


def log_of(which: Any, scores: list[float], metric: str = "exact_match", **changes: Any) -> EvalLog:
    samples = tuple(
        Sample(id=str(n), prompt=f"question {n}", expected=("a", "b"), output=f"{which} {n}", scores={metric: score})
        for n, score in enumerate(scores)
    )
    return EvalLog(spec=SPEC.model_copy(update=changes), which=which, started="", seconds=0, samples=samples)


def test_rows_verdict_and_words() -> None:
    base = [log_of("base", [0.0] * 190 + [1.0] * 10), log_of("base", [1.0] * 60 + [0.0] * 40, task="facts")]
    tuned = [log_of("tuned", [1.0] * 61 + [0.0] * 39, task="facts"), log_of("tuned", [1.0] * 195 + [0.0] * 5)]
    results = compare(base, tuned)
    first, second = results.rows
    assert (first.task, first.metric, first.n, first.unscored) == ("people", "exact_match", 200, 0)
    assert (first.base, first.tuned) == pytest.approx((0.05, 0.975))
    assert first.delta == pytest.approx(0.925) and first.ci_low > 0.8
    assert first.verdict == "better"
    assert second.verdict == "no difference shown" and second.ci_low < 0 < second.ci_high
    one, other = results.verdict.split("; no difference")
    assert one == f"better on people (+92.5 points, 95% CI {100 * first.ci_low:.1f} to {100 * first.ci_high:.1f})"
    assert other.startswith(" shown on facts (+1.0 points") and "could miss less than" in results.verdict
    assert compare(tuned, base).rows[1].verdict == "worse"


def test_a_missing_score_is_left_out_and_counted_never_zero() -> None:
    base, tuned = [1.0] * 40, [1.0] * 40
    base[3] = tuned[7] = tuned[8] = math.nan
    (row,) = compare([log_of("base", base)], [log_of("tuned", tuned)]).rows
    assert (row.n, row.unscored) == (37, 3)
    assert (row.base, row.tuned, row.delta) == (1, 1, 0)
    (row,) = compare([log_of("base", base)], [log_of("tuned", [1.0] * 30)]).rows
    assert (row.n, row.unscored) == (29, 11)
    (row,) = compare([log_of("base", [math.nan] * 3)], [log_of("tuned", [1.0] * 3)]).rows
    assert (row.n, row.unscored, row.verdict) == (0, 3, "too few to tell") and math.isnan(row.delta)


def test_many_rows_need_stronger_evidence() -> None:
    base, tuned = [0.0] * 6 + [1.0] * 34, [1.0] * 40
    assert compare([log_of("base", base)], [log_of("tuned", tuned)]).rows[0].verdict == "better"
    names = [f"task{n}" for n in range(20)]
    same = [1.0] * 40
    noise = [log_of("base", same, task=name) for name in names], [log_of("tuned", same, task=name) for name in names]
    rows = compare([log_of("base", base), *noise[0]], [log_of("tuned", tuned), *noise[1]]).rows
    assert rows[0].verdict == "no difference shown"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"dtype": "bfloat16"}, "dtype is 'float32' in one and 'bfloat16'"),
        ({"task_hash": "x"}, "task_hash"),
        ({"template_hash": "x"}, "template_hash is None"),
        ({"versions": {"torch": "1", "peft": "3"}}, "versions.peft is '2' in one and '3'"),
        ({"versions": {"torch": "1"}}, "versions.peft"),
        ({"end_ids": (0, 1)}, "end_ids"),
    ],
)
def test_unlike_specs_are_refused_by_name(change: dict[str, Any], words: str) -> None:
    with pytest.raises(LogError) as caught:
        compare([log_of("base", [1.0])], [log_of("tuned", [1.0], **change)])
    assert words in str(caught.value) and "people" in str(caught.value)


def test_sets_of_tasks_must_be_the_same() -> None:
    with pytest.raises(LogError, match="task facts: only one"):
        compare([log_of("base", [1.0])], [log_of("tuned", [1.0]), log_of("tuned", [1.0], task="facts")])
    with pytest.raises(LogError, match="no logs"):
        compare([], [])


def test_samples_are_taken_in_turn_and_not_by_outcome() -> None:
    def pair(scores: list[float], **changes: Any) -> tuple[EvalLog, EvalLog]:
        return log_of("base", scores, **changes), log_of("tuned", scores, **changes)

    right, wrong = pair([1.0] * 9), pair([0.0] * 9)
    assert [one.id for one in side_by_side([right])] == [one.id for one in side_by_side([wrong])]
    shown = side_by_side([right, pair([0.0] * 2, task="two"), pair([1.0] * 9, task="choice", kind="choice")])
    assert [one.task for one in shown] == ["people", "two", "people", "two", "people"]
    assert shown[0].expected == "a | b" and shown[0].base == f"base {shown[0].id}" and shown[0].tuned_score == 1
    assert len(side_by_side([pair([1.0] * 9, task="choice", kind="choice")])) == 5


def test_one_model_alone_has_words_and_no_rows() -> None:
    results = alone([log_of("base", [1.0, 0.0, math.nan])])
    assert results.rows == ()
    assert "exact_match 50.0 ± 50.0 on people (n = 2, 1 unscored)" in results.verdict
