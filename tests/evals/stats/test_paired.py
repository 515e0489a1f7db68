import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.power import TTestPower

from evals.stats.paired import Paired, paired, paired_sums
from evals.stats.shared import Floats, mean_stderr
from evals.stats.verdicts import verdict

FRACTIONS = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=60)
TIED = st.lists(st.tuples(st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from([0.0, 0.5, 1.0])), min_size=2, max_size=60)


def zeros_and_ones(both: int, gained: int, lost: int, neither: int) -> tuple[list[float], list[float]]:
    first = [1.0] * both + [0.0] * gained + [1.0] * lost + [0.0] * neither
    second = [1.0] * both + [1.0] * gained + [0.0] * lost + [0.0] * neither
    return first, second


def ratio(sums: Floats) -> Floats:
    return sums[..., 0] / sums[..., 1]


def test_mean_and_stderr() -> None:
    assert mean_stderr([1, 2, 3, 6]) == pytest.approx((3, math.sqrt(14 / 3 / 4)))
    assert mean_stderr([0.5])[0] == 0.5 and math.isnan(mean_stderr([0.5])[1])
    assert all(math.isnan(number) for number in mean_stderr([]))


def test_all_pairs_alike_give_an_honest_interval() -> None:
    every = paired(*zeros_and_ones(0, 200, 0, 0))
    assert every.delta == every.high == 1 and 0.95 < every.low < 0.99
    none = paired(*zeros_and_ones(200, 0, 0, 0))
    assert none.delta == 0 and -0.02 < none.low < -0.01 and none.p == 1 and none.needed is None
    assert none.low < -none.detectable / 4 < 0
    graded = paired([0.25] * 200, [0.75] * 200)
    assert graded.delta == 0.5 and 0.45 < graded.low < 0.5 < graded.high < 0.52 and graded.p < 1e-6
    same = paired([0.3] * 200, [0.3] * 200)
    assert same.p == 1 and same.low < 0 < same.high
    unbounded = paired([10.0] * 50, [12.0] * 50)
    assert math.isnan(unbounded.low) and verdict(unbounded, unbounded.p) == "better"
    few_groups = paired([0.3] * 200, [0.3] * 200, [str(place // 10) for place in range(200)])
    assert few_groups.low < 5 * same.low and few_groups.groups == 20


def test_where_all_are_alike_and_there_is_no_interval_the_sign_test_decides() -> None:
    first, second = np.tile([0.0, 100.0], (100, 1)), np.tile([100.0, 100.0], (100, 1))
    of_set = paired_sums(first, second, ratio)
    assert of_set.delta == 1 and math.isnan(of_set.low) and of_set.p < 1e-29 and of_set.needed == 30
    assert verdict(of_set, of_set.p) == "better" and of_set.test.startswith("sign test")
    shorter = paired([64.0] * 100, [1.0] * 100)
    assert (verdict(shorter, shorter.p), verdict(shorter, shorter.p, "neither")) == ("worse", "differs")
    for count, words in ((20, "better"), (9, "too few to tell")):
        groups = [str(place // 4) for place in range(4 * count)]
        gained = paired([0.0] * 4 * count, [1.0, 0.0, 0.0, 0.0] * count, groups)
        assert gained.p == 2 * 0.5**count and math.isnan(gained.low) and gained.needed == 40
        assert verdict(gained, gained.p) == words
    gone = np.array([[1.0, 2.0]] + [[0.0, 0.0]] * 40)
    with np.errstate(invalid="ignore"):
        unknown = paired_sums(gone, gone * [2, 1], ratio)
    assert unknown.delta == 0.5 and unknown.p == 1, "one sample makes the whole difference"


def test_few_changed_scores_are_too_few_unless_they_are_counted() -> None:
    first = np.linspace(0.1, 0.9, 200)
    for count, words in ((9, "too few to tell"), (12, "better")):
        second = first + np.where(np.arange(200) < count, 0.1, 0.0)
        found, of_set = paired(first, second), paired_sums(first[:, None], second[:, None], lambda sums: sums[..., 0])
        assert found.changed == of_set.changed == count
        assert verdict(found, found.p) == verdict(of_set, of_set.p) == words
        assert found.needed is not None and found.needed >= 200 * 10 / count
    counted = paired(*zeros_and_ones(150, 9, 0, 41))
    assert counted.changed is None and verdict(counted, counted.p) == "better"
    two = [*map(str, range(199)), "198"]
    nearly = paired(*zeros_and_ones(150, 9, 0, 41), two)
    assert nearly.groups == 199 and nearly.changed is None and verdict(nearly, nearly.p) == "better"
    fives = paired(*zeros_and_ones(150, 9, 0, 41), [str(place % 40) for place in range(200)])
    assert fives.changed == 9 and verdict(fives, fives.p) == "too few to tell", "a whole group may turn at once"
    same = paired(first, first)
    assert same.changed is None and verdict(same, same.p) == "no difference shown"
    groups = [str(place // 5) for place in range(200)]
    assert paired(first, first + np.where(np.arange(200) < 40, 0.1, 0.0), groups).changed == 8


def test_what_is_too_little_to_compute_is_nan() -> None:
    assert math.isnan(paired([], []).delta)
    one = paired([0.0], [1.0])
    assert one.delta == 1 and math.isnan(one.low) and verdict(one, 0) == "too few to tell"
    for first, second in (([math.nan], [1.0]), ([1.0], [1.0, 0.0])):
        with pytest.raises(ValueError, match="paired"):
            paired(first, second)
    with pytest.raises(ValueError, match="groups"):
        paired([0.1, 0.2], [0.3, 0.1], ["a"])
    alone = paired([0.1, 0.2, 0.4], [0.3, 0.1, 0.9], ["a", "a", "a"])
    assert alone.groups == 1 and alone.p == 1 and math.isnan(alone.low)
    assert math.isnan(paired_sums(np.zeros((0, 2)), np.zeros((0, 2)), ratio).delta)


def _negated(one: Paired) -> list[float]:
    return [-one.delta, -one.high, -one.low, one.p, one.detectable]


def _figures(one: Paired) -> list[float]:
    return [one.delta, one.low, one.high, one.p, one.detectable]


@settings(max_examples=40)
@given(FRACTIONS | TIED, st.booleans())
def test_the_interval_holds_the_difference_and_turns_round_with_the_pair(
    scores: list[tuple[float, float]], grouped: bool
) -> None:
    first, second = (list(column) for column in zip(*scores, strict=True))
    groups = [str(place // 3) for place in range(len(first))] if grouped else None
    there, back = paired(first, second, groups), paired(second, first, groups)
    assert _figures(back) == pytest.approx(_negated(there), abs=1e-9, nan_ok=True)
    assert 0 <= there.p <= 1
    if not math.isnan(there.low):
        assert there.low - 1e-9 <= there.delta <= there.high + 1e-9
        assert there.detectable >= 0


@settings(max_examples=40)
@given(FRACTIONS | TIED, st.randoms(use_true_random=False), st.floats(0.1, 1))
def test_order_and_scale_do_not_matter(scores: list[tuple[float, float]], chance: object, scale: float) -> None:
    rows = [(*pair, str(place // 2)) for place, pair in enumerate(scores)]
    shuffled = list(rows)
    chance.shuffle(shuffled)  # pyright: ignore
    first, second, groups = zip(*rows, strict=True)
    columns: Any = zip(*shuffled, strict=True)
    one = paired(first, second, groups)
    assert _figures(paired(*columns)) == pytest.approx(_figures(one), abs=1e-7, nan_ok=True)
    if np.ptp(np.subtract(second, first)) > 1e-6:
        scaled = paired(np.multiply(first, scale), np.multiply(second, scale), groups)
        ours = [scale * figure for figure in (one.delta, one.low, one.high)]
        assert [scaled.delta, scaled.low, scaled.high] == pytest.approx(ours, abs=1e-6, nan_ok=True)


def test_groups_that_group_nothing_change_nothing() -> None:
    first, second = zeros_and_ones(20, 20, 10, 10)
    alone = paired(first, second)
    assert paired(first, second, [None] * 60) == paired(first, second, list(map(str, range(60)))) == alone
    assert alone.groups is None and "McNemar" in alone.test
    doubled = paired(first * 2, second * 2, [str(place % 60) for place in range(120)])
    assert doubled.groups == 60 and "CR2" in doubled.test
    assert doubled.high - doubled.low == pytest.approx(alone.high - alone.low, rel=0.1)
    assert doubled.needed is not None and alone.needed is not None
    assert doubled.needed == pytest.approx(2 * alone.needed, rel=0.15)


def test_needed_pairs_agree_with_statsmodels() -> None:
    rng = np.random.default_rng(2)
    first = rng.random(400)
    second = np.clip(first + rng.normal(0.03, 0.2, 400), 0, 1)
    found, difference = paired(first, second), second - first
    theirs = TTestPower().solve_power(difference.mean() / difference.std(ddof=1), power=0.8, alpha=0.05)
    assert found.needed == pytest.approx(theirs, rel=0.01)
    assert paired(first, first + 0.5 + 0.01 * second).needed == 30


def test_metrics_of_the_set_cover_and_know_their_groups() -> None:
    rng = np.random.default_rng(9)
    held, alarms = [], []
    for _ in range(300):
        lengths = rng.lognormal(3, 0.5, 40).round()
        first, second = (np.stack([rng.binomial(lengths.astype(int), 0.4).astype(float), lengths], 1) for _ in range(2))
        found = paired_sums(first, second, ratio)
        held.append(found.low <= 0 <= found.high)
        alarms.append(found.p <= 0.05)
    assert 0.91 < np.mean(held) < 0.985 and 0.015 < np.mean(alarms) < 0.09
    first, second = np.stack([rng.random(60), np.ones(60)], 1), np.stack([rng.random(60), np.ones(60)], 1)
    of_sums, of_means = paired_sums(first, second, ratio), paired(first[:, 0], second[:, 0])
    assert of_sums.delta == pytest.approx(of_means.delta)
    assert of_sums.high - of_sums.low == pytest.approx(of_means.high - of_means.low, rel=0.02)
    twice = paired_sums(np.tile(first, (2, 1)), np.tile(second, (2, 1)), ratio, [str(one % 60) for one in range(120)])
    assert twice.groups == 60 and (twice.low, twice.high) == pytest.approx((of_sums.low, of_sums.high), rel=0.02)
    same = paired_sums(first, first, ratio)
    assert same.delta == 0 and same.p == 1 and math.isnan(same.low)
    with pytest.raises(ValueError, match="sums"):
        paired_sums(first, second[:-1], ratio)
