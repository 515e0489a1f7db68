import math
from collections.abc import Sequence

import numpy as np
import pytest

from evals.log import EvalLog, EvalSpec, Sample
from evals.stats.paired import paired
from evals.stats.single import interval
from ftspace.sweeps.searched import searched
from ftspace.sweeps.standing import Outcome, Standing, standing

SPEC = EvalSpec(
    base="b", base_revision="r", task="heldout", task_hash="t", kind="generation", n=0, dtype="float32", device="cpu",
    tokenizer_hash="h", max_new_tokens=8, end_ids=(0,), batch_tokens=64, seed=0, versions={},
)  # fmt: skip


def log(scores: Sequence[float], which: str = "tuned", name: str = "exact_match", **spec: str) -> EvalLog:
    samples = tuple(
        Sample(id=str(n), prompt=f"{n}?", expected=("x",), output="y", scores={name: float(score)})
        for n, score in enumerate(scores)
    )
    made = SPEC.model_copy(update={"n": len(samples), **spec})
    return EvalLog(spec=made, which=which, started="2026-11-23T09:00:00+00:00", seconds=1.0, samples=samples)


def right(count: int, of: int = 200) -> list[float]:
    return [float(place < count) for place in range(of)]


def cells(*scores: Sequence[float], base: Sequence[float] | None = None) -> list[Outcome]:
    asked = None if base is None else log(base, "base")
    return [
        Outcome(f"r={place}", f"run-{place}", "finished", loss=1.0, tuned=log(one), base=asked)
        for place, one in enumerate(scores)
    ]


def ranked(outcomes: Sequence[Outcome], metric: str = "exact_match") -> Standing:
    return standing(outcomes, "heldout", metric)


def test_the_best_comes_first_and_is_told_from_the_next_where_it_can_be() -> None:
    found = ranked(cells(right(100), right(160), right(90), base=right(20)))
    assert [one.name for one in found.places] == ["r=1", "r=0", "r=2"] and found.looks == 3
    assert found.words[0].startswith("r=1 is best: by 30.0 points (corrected 95 % interval 2")
    assert found.may_be_best == ("r=1",) and found.best == "r=1"
    following = found.places[1]
    alone = paired(right(100), right(160))
    assert following.behind == pytest.approx(0.3) and following.p == pytest.approx(min(1, 3 * alone.p))
    assert following.behind_low < alone.low < alone.high < following.behind_high
    assert "Against the base it stands at +70.0 points" in found.words[-1]
    assert found.gain_low < paired(right(20), right(160)).low


def test_one_that_is_not_distinguishable_is_said_not_to_be() -> None:
    found = ranked(cells(right(120), right(118), right(20)))
    assert found.words[0] == (
        "The best is not distinguishable from the next: r=0 has the highest score and may be no better than r=1."
    )
    assert found.may_be_best == ("r=0", "r=1") and found.places[2].verdict == "better"


def test_what_two_cells_show_many_do_not() -> None:
    two = ranked(cells(right(110), right(100)))
    assert two.words[0].startswith("r=0 is best") and two.places[1].p < 0.05
    many = ranked(cells(right(110), *[right(100) for _ in range(11)]))
    assert many.words[0].startswith("The best is not distinguishable") and many.places[1].p > 0.05
    assert "and 7 more" in many.words[0]


def test_the_bests_own_score_is_told_as_that_of_the_best_of_so_many() -> None:
    found = ranked(cells(*[right(count) for count in (150, 140, 130, 120, 110, 100, 90, 80)]))
    ordinary = interval(right(150))
    assert (found.places[0].low, found.places[0].high) == ordinary
    assert (found.best_low, found.best_high) == interval(right(150), alpha=0.05 / 8)
    assert found.best_low < ordinary[0] < ordinary[1] < found.best_high
    assert any("the best of 8, which is luck in part: with 95 % confidence" in one for one in found.words)


def test_of_equal_cells_hardly_ever_one_is_called_better_than_another() -> None:
    drawn, wrong, naive = np.random.default_rng(1), 0, 0
    for _ in range(200):
        scores = [drawn.binomial(1, 0.6, 60).tolist() for _ in range(6)]
        found = ranked(cells(*scores))
        wrong += any(one.verdict == "better" for one in found.places)
        naive += any(one.p / 15 < 0.05 for one in found.places[1:])
    assert wrong <= 16 < 60 < naive  # 5 % of 200, and two standard errors


def test_a_score_whose_low_is_good_and_one_of_the_whole_set() -> None:
    rates = [0.5, 0.1, 0.9]
    made = [
        Outcome(f"r={n}", None, "finished", tuned=log([rate] * 100 + [rate / 2] * 100, name="refusal"))
        for n, rate in enumerate(rates)
    ]
    found = ranked(made, "refusal")
    assert [one.name for one in found.places] == ["r=1", "r=0", "r=2"] and found.words[0].startswith("r=1 is best")
    summed = [
        Outcome(one.name, None, "finished", tuned=_with_sums(one.tuned, 1 + place))
        for place, one in enumerate(made)
        if one.tuned
    ]
    told = ranked(summed, "perplexity")
    assert told.better == "lower" and told.places[0].score == pytest.approx(math.exp(1.045), abs=0.05)
    assert told.best_low < told.places[0].low < told.places[0].high < told.best_high


def _with_sums(one: EvalLog, nats: float) -> EvalLog:
    samples = tuple(
        sample.model_copy(update={"stats": {"perplexity": (nats + place % 10 / 100, 1.0)}})
        for place, sample in enumerate(one.samples)
    )
    return one.model_copy(update={"samples": samples})


def test_cells_without_a_score_and_questions_that_differ_are_named() -> None:
    made = [
        *cells(right(120), right(60)),
        Outcome("r=9", "run-9", "failed", "out of memory"),
        Outcome("r=10", None, "not begun"),
        Outcome("r=11", "run-11", "finished", tuned=log(right(50), task_hash="other")),
    ]
    found = ranked(made)
    assert found.looks == 3 and found.words[-1] == "Without a score: r=9 (failed: out of memory)."
    assert found.places[2].why == "they were asked other questions" and "could not be tested" in " ".join(found.words)
    assert ranked([made[3]]).words == ("No cell has a score yet.",)
    assert ranked(made[:1]).words[0] == "Only r=0 has a score, so there is nothing to choose from."
    assert ranked(made[:2], "nothing").words[0] == "No cell has a score yet."


def test_a_search_is_told_by_its_validations_and_only_reports_the_test() -> None:
    made = [
        Outcome("lr=1", "a", "finished", loss=1.5),
        Outcome("lr=2", "b", "finished", loss=1.25),
        Outcome("lr=3", "c", "pruned", "worse than the median", loss=3.0),
        Outcome("lr=4", "d", "failed", "out of memory"),
    ]
    found = searched(made, "lr=2", "better on heldout (+20 points)")
    assert [one.name for one in found.trials] == ["lr=2", "lr=1", "lr=3", "lr=4"] and found.best == "lr=2"
    said = " ".join(found.words)
    assert "chosen by the validation rows: its loss there is 1.2500" in said and "The next, lr=1" in said
    assert "On the test, by which nothing was chosen: better on heldout (+20 points)" in said
    assert "1 of 4 trials were ended early" in said and "lr=4 (failed: out of memory)" in said
    assert searched(made[2:], None).words[0].startswith("No trial was finished")
    assert "chosen by its answers to questions" in searched(made, "lr=1", by_score=True).words[0]
    assert "It is not tested: eval.tasks is empty." in searched(made, "lr=1", why_not="eval.tasks is empty").words
