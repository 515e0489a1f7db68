import math
from dataclasses import replace

import numpy as np
import pytest

from evals.metrics import Metric
from evals.pairs import Pairs
from evals.results import Better
from evals.rows import tabulate

RNG = np.random.default_rng(3)
NOISE = RNG.normal(0, 0.05, 60)


def pairs(task: str, gain: float, *, better: Better = "higher", **changes: object) -> Pairs:
    first = 0.4 + NOISE
    second = first + gain + np.roll(NOISE, 7) / 5
    one = Pairs(task=task, metric=Metric("m", better=better), first=first, second=second)
    return replace(one, **changes)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("better", "gain", "verdict"),
    [
        ("higher", 0.2, "better"),
        ("higher", -0.2, "worse"),
        ("lower", -0.2, "better"),
        ("lower", 0.2, "worse"),
        ("neither", 0.2, "differs"),
        ("neither", 0.0, "no difference shown"),
    ],
)
def test_a_verdict_knows_which_way_is_good(better: Better, gain: float, verdict: str) -> None:
    (row,) = tabulate([pairs("people", gain, better=better)])
    assert (row.verdict, row.better) == (verdict, better)
    assert math.copysign(1, row.delta) == math.copysign(1, gain) or gain == 0


def test_the_table_is_ordered_by_role_and_the_worst_loss_comes_first() -> None:
    found = tabulate(
        [
            pairs("people", 0.0, role="noise", side="base-again"),
            pairs("spelling", 0.0, role="forgetting"),
            pairs("facts", -0.2, role="forgetting"),
            pairs("people", 0.1, role="prompting", against="base-prompted"),
            pairs("speed", 0.3, role="forgetting", better="lower"),
            pairs("people", 0.2),
            pairs("facts", 0.1, role="forgetting", metric=Metric("second")),
            pairs("names", 0.3),
            pairs("names", 0.1, role="judge", metric=Metric("preferred")),
        ]
    )
    assert [(row.role, row.task) for row in found] == [
        ("gain", "people"),
        ("gain", "names"),
        ("forgetting", "speed"),
        ("forgetting", "facts"),
        ("forgetting", "facts"),
        ("forgetting", "spelling"),
        ("prompting", "people"),
        ("noise", "people"),
        ("judge", "names"),
    ]


def test_samples_that_training_repeats_get_a_second_row_that_costs_the_table_nothing() -> None:
    repeated = tuple(place < 25 for place in range(60))
    second = 0.4 + NOISE + np.where(repeated, 0.3, 0.0)
    one = pairs("people", 0, first=0.4 + np.roll(NOISE, 5), second=second, overlap=repeated, unscored=2)
    whole, clean = tabulate([one])
    assert (whole.subset, whole.n, whole.verdict) == ("all", 60, "better")
    assert (clean.subset, clean.n, clean.verdict) == ("clean", 35, "no difference shown")
    assert whole.p == tabulate([replace(one, overlap=())])[0].p
    for overlap in ((True,) * 60, (False,) * 60):
        assert len(tabulate([replace(one, overlap=overlap)])) == 1


def test_metrics_that_describe_take_no_share_in_the_adjustment() -> None:
    weak = pairs("people", 0.012, second=0.4 + NOISE + 0.012 + RNG.normal(0, 0.03, 60))
    alone = tabulate([weak])[0].p
    described = [pairs("people", 0.1, better="neither", metric=Metric(f"d{n}", better="neither")) for n in range(9)]
    assert tabulate([weak, *described])[0].p == alone
    judged = [pairs("people", 0, metric=Metric(f"j{n}")) for n in range(9)]
    assert tabulate([weak, *judged])[0].p == pytest.approx(min(1, 10 * alone))


def test_a_row_tells_how_the_scores_spread() -> None:
    scores = np.asarray([0.0, 0.5, 1.0, 0.5])
    (row,) = tabulate([pairs("people", 0, first=scores, second=scores)])
    assert (row.base_min, row.base_max, row.tuned_std) == (0, 1, pytest.approx(scores.std(ddof=1)))
    (row,) = tabulate([pairs("people", 0, first=scores[:0], second=scores[:0])])
    assert math.isnan(row.base_min) and math.isnan(row.base) and row.verdict == "too few to tell"


def test_a_metric_of_the_set_is_computed_from_sums_with_a_jackknifed_error() -> None:
    ratio = Metric("ratio", of_sums=lambda sums: sums[..., 0] / sums[..., 1], better="lower", unit="x")
    first = np.stack([np.abs(NOISE) + 1, np.ones(60)], axis=1)
    one = pairs("people", 0, metric=ratio, first=first, second=first * [0.5, 1])
    (row,) = tabulate([one])
    values = first[:, 0]
    assert (row.base, row.tuned) == pytest.approx((values.mean(), values.mean() / 2))
    assert row.base_stderr == pytest.approx(values.std(ddof=1) / 60**0.5), "of a mean the jackknife is exact"
    assert row.verdict == "better" and not row.share and math.isnan(row.base_std)
    (grouped,) = tabulate([replace(one, groups=tuple(str(n // 3) for n in range(60)))])
    assert grouped.groups == 20 and grouped.base == row.base and grouped.base_stderr != row.base_stderr
    (none,) = tabulate([replace(one, first=first[:0], second=first[:0])])
    assert none.n == 0 and math.isnan(none.base)
