from typing import Any

from evals.results import Row
from evals.wording import amount, in_words, sentence


def row(task: str, delta: float, verdict: Any, **changes: Any) -> Row:
    numbers = dict.fromkeys(("base", "base_stderr", "tuned", "tuned_stderr"), 0.5)
    values: dict[str, Any] = {
        "metric": "exact_match",
        "n": 100,
        "unscored": 0,
        "detectable": 0.04,
        **numbers,
        **changes,
    }
    return Row(task=task, delta=delta, ci_low=delta - 0.03, ci_high=delta + 0.03, verdict=verdict, **values)


def test_a_row_without_an_interval_says_so() -> None:
    alone = row("people", 1.0, "better").model_copy(update={"ci_low": float("nan"), "ci_high": float("nan")})
    assert in_words(alone, False) == "better on people (+100.0 points, no CI)"


def test_too_few_says_of_what() -> None:
    assert in_words(row("sums", 0.1, "too few to tell", n=12, changed=3), False) == "too few to tell on sums (n = 12)"
    few = row("sums", 0.1, "too few to tell", changed=3)
    assert in_words(few, False) == "too few to tell on sums (n = 100; only 3 samples differ)"
    assert "; only 3 groups differ" in in_words(few.model_copy(update={"groups": 20}), False)


def test_the_sentence_leads_with_the_gain_then_tells_the_price() -> None:
    rows = [
        row("people", 0.2, "better"),
        row("people", 0.1, "better", metric="token_f1"),
        row("people", 0.1, "better", subset="clean"),
        row("people", 3.0, "differs", metric="length", better="neither"),
        row("facts", -0.05, "worse", role="forgetting"),
        row("spelling", 0.0, "no difference shown", role="forgetting"),
        row("sums", 0.0, "too few to tell", role="forgetting"),
        row("people", 0.12, "better", role="prompting", against="base-prompted"),
        row("people", 0.004, "no difference shown", role="noise", side="base-again"),
    ]
    assert sentence(rows) == (
        "better on people by exact_match (+20.0 points, 95% CI 17.0 to 23.0); "
        "lost on facts (-5.0 points, 95% CI -8.0 to -2.0); "
        "no loss shown on spelling (could miss less than 4.0 points); "
        "too few to tell what was lost on sums; "
        "better than the base with examples on people by exact_match (+12.0 points, 95% CI 9.0 to 15.0); "
        "the base differs from itself by at most 0.4 points"
    )


def test_many_tasks_are_counted_not_listed() -> None:
    gains = [row(f"t{n}", n / 100, "better") for n in range(1, 6)]
    rest = [row("bad", -0.1, "worse"), row("same", 0, "no difference shown"), row("tiny", 0, "too few to tell")]
    lost = [row(f"f{n}", -0.1, "worse", role="forgetting") for n in range(5)]
    assert sentence([*gains, *rest, *lost]) == (
        "better on 5 of 8 tasks (t5 +5.0, t4 +4.0, t3 +3.0, …); worse on 1 of 8 tasks (bad -10.0); "
        "no difference shown on 1 of 8 tasks (could miss less than 4.0 points); too few to tell on 1 of 8 tasks; "
        + "; ".join(f"lost on f{n} (-10.0 points, 95% CI -13.0 to -7.0)" for n in range(3))
        + "; lost on 2 more tasks"
    )
    prompted = [row(f"p{n}", 0, verdict, role="prompting") for n, verdict in enumerate(["better", "worse", "better"])]
    assert sentence([gains[0], *prompted]).endswith(
        "better than the base with examples on p0, p2; worse than the base with examples on p1"
    )


def test_without_a_tuned_model_another_reason_leads() -> None:
    assert sentence([row("people", 0.1, "better", role="prompting", against="base", side="base-prompted")]) == (
        "better on people (+10.0 points, 95% CI 7.0 to 13.0)"
    )


def test_numbers_that_are_no_shares_are_told_as_they_are() -> None:
    assert in_words(row("people", -2.25, "better", share=False, better="lower"), name_metric=False) == (
        "better on people (-2.25, 95% CI -2.28 to -2.22)"
    )
    assert (amount(0.1234, share=True, sign="+"), amount(1234.5, share=False)) == ("+12.3", "1234")
    assert amount(float("nan"), share=True) == "–"
