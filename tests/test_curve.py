import io
import math
from typing import Any

import pytest
from rich.console import Console

from evals.log import EvalLog
from ftspace.curve import Point, learning_curve, parse_fractions, to_rich
from ftspace.errors import ConfigError
from tests.evals.test_compare import log_of


def point(fraction: float, *logs: EvalLog, rows: int | None = None, **more: Any) -> Point:
    tuned = {log.spec.task: log for log in logs}
    return Point(fraction, "finished", f"run-{fraction:g}", rows or int(1000 * fraction), tuned, **more)


def right(count: int, of: int = 300, **changes: Any) -> EvalLog:
    return log_of("tuned", [1.0] * count + [0.0] * (of - count), **changes)


@pytest.mark.parametrize(
    ("smaller", "larger", "said"),
    [
        (150, 200, "more data would probably help: going from 50 % to 100 % gained +16.7 points ["),
        (200, 150, "more data of this kind did harm: going from 50 % to 100 % changed people by -16.7 points ["),
        (200, 201, "no gain shown on people going from 50 % to 100 % (+0.3 points ["),
    ],
)
def test_the_last_step_decides_and_is_said_with_its_interval(smaller: int, larger: int, said: str) -> None:
    found = learning_curve([point(1, right(larger)), point(0.25, right(0)), point(0.5, right(smaller))])
    assert found.verdict.startswith(said)
    (gain,) = found.gains
    assert (gain.smaller, gain.larger, gain.n) == (0.5, 1, 300)
    assert gain.low < gain.delta < gain.high and gain.delta == pytest.approx((larger - smaller) / 300)
    assert ("could miss less than" in found.verdict) == (gain.verdict == "no difference shown")
    assert [(one.fraction, one.score) for one in found.scores] == [(0.25, 0), (0.5, smaller / 300), (1, larger / 300)]
    assert all(0 <= one.low <= one.score <= one.high <= 1 and one.n == 300 for one in found.scores)
    assert [run.rows for run in found.runs] == [250, 500, 1000]


def test_few_samples_are_too_few_to_tell() -> None:
    found = learning_curve([point(0.5, right(0, of=20)), point(1, right(20, of=20))])
    assert found.verdict == "too few to tell on people (n = 20)"


def test_missing_scores_are_counted_and_left_out_of_pairs() -> None:
    first = log_of("tuned", [math.nan, *[0.0] * 40])
    second = log_of("tuned", [1.0, math.nan, *[1.0] * 39])
    found = learning_curve([point(0.5, first), point(1, second)])
    assert found.gains[0].n == 39 and found.gains[0].delta == 1
    assert [(one.n, one.unscored, one.score) for one in found.scores] == [(40, 1, 0), (40, 1, 1)]


def test_scores_that_are_no_yes_or_no_have_an_interval_too() -> None:
    first, second = [0.1, 0.3] * 50, [0.5, 0.9] * 50
    found = learning_curve([point(0.5, log_of("tuned", first)), point(1, log_of("tuned", second))])
    assert found.scores[1].score == pytest.approx(0.7) and 0.65 < found.scores[1].low < 0.7 < found.scores[1].high
    assert "more data would probably help" in found.verdict


@pytest.mark.parametrize(
    ("larger", "said"),
    [
        ([right(200, task_hash="x")], "people cannot be compared: the two runs were asked different samples"),
        ([right(200, dtype="bfloat16")], "people cannot be compared: dtype is 'float32' in one and 'bfloat16'"),
        ([right(200, task="facts")], "people cannot be compared: only one of the two runs was asked it; facts cannot"),
    ],
)
def test_what_cannot_be_compared_says_why(larger: list[EvalLog], said: str) -> None:
    found = learning_curve([point(0.5, right(150)), point(1, *larger)])
    assert found.gains == () and found.verdict.startswith(said)


def test_one_task_that_cannot_be_compared_does_not_hide_the_others() -> None:
    smaller = point(0.5, right(150), right(150, task="facts", task_hash="x"))
    found = learning_curve([smaller, point(1, right(250), right(150, task="facts"))])
    assert [gain.task for gain in found.gains] == ["people"]
    assert "gained +33.3 points" in found.verdict and "facts cannot be compared" in found.verdict


def test_runs_that_did_not_finish_are_passed_over_and_named() -> None:
    failed = Point(1, "failed", "run-1", problem="out of memory")
    found = learning_curve([point(0.25, right(100)), point(0.5, right(200)), failed])
    assert "going from 25 % to 50 % gained" in found.verdict
    assert (found.runs[2].status, found.runs[2].problem) == ("failed", "out of memory")
    assert learning_curve([point(0.5, right(9)), failed, Point(0.1, "not run")]).verdict == (
        "too few to tell: 1 of 3 runs finished with answers to compare"
    )


def test_equal_training_rows_are_no_step_up() -> None:
    found = learning_curve([point(0.5, right(100), rows=40), point(1, right(200), rows=40)])
    assert found.gains == () and "both runs learned from the same 40 rows" in found.verdict


def test_the_table_has_a_line_for_each_run_and_task() -> None:
    out = io.StringIO()
    console = Console(width=140, file=out)
    console.print(to_rich(learning_curve([point(0.5, right(150), right(9, task="[b]")), Point(1, "not run")])))
    shown = out.getvalue()
    assert "50 %" in shown and "people, exact_match" in shown and "[b], exact_match" in shown and "not run" in shown


def test_shares_are_read_from_text_or_refused() -> None:
    assert parse_fractions("1, .5,0.25,1") == [0.25, 0.5, 1]
    for text in ("", "1", "0,1", "0.5,2", "a,b", "nan,1"):
        with pytest.raises(ConfigError, match="--fractions"):
            parse_fractions(text)
