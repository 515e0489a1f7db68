"""When a training has diverged, which validation is the best, and how long it is waited for a better one."""

import math

import pytest

from ftspace.budgets import Budget
from ftspace.training.course import FIRST, IN_A_ROW, WINDOW, Course, Memory

FALLING = [2.0 * 0.97**step + 0.2 * (step % 3) for step in range(80)]


def watched(losses: list[float], course: Course | None = None) -> Course:
    course = course or Course()
    for step, loss in enumerate(losses, start=1):
        course.watch(step, loss, 1.0)
        if course.broken:
            break
    return course


@pytest.mark.parametrize(
    ("losses", "first_bad"),
    [
        (FALLING, None),
        ([*FALLING, *[9.0] * (IN_A_ROW - 1), 0.5, *[9.0] * (IN_A_ROW - 1)], None),
        ([*FALLING, *[9.0] * IN_A_ROW], 81),
        ([*FALLING, 9.0, 0.5, 5.0, 6.0, 7.0, 8.0, 9.0], 83),
        ([0.001 + 0.05 * (step % 9 == 0) for step in range(40)] + [0.04] * 20, None),
        ([2.5] * 60 + [4.5] * 20, None),
        ([4.0] * FIRST + [2.0] * 60 + [4.2] * 10, 71),
        ([9.0] * (FIRST - 1), None),
        ([2.0, math.nan], 2),
        ([2.0, 2.0, math.inf], 3),
    ],
    ids=[
        "falling",
        "short spikes",
        "risen",
        "after a spike",
        "near zero",
        "new topic",
        "worse",
        "too soon",
        "nan",
        "inf",
    ],
)
def test_divergence(losses: list[float], first_bad: int | None) -> None:
    course = watched(losses)
    assert course.first_bad == first_bad
    assert (course.broken is None) == (first_bad is None)
    assert course.broken is None or "became" in course.broken or "usual, and has not come back" in course.broken


def test_a_gradient_that_is_no_number_is_a_divergence_and_none_is_not() -> None:
    course = Course()
    course.watch(1, 2.0, None)
    assert course.broken is None
    course.watch(2, 2.0, math.nan)
    assert course.broken == "grad_norm became nan at step 2"


def test_a_course_goes_on_from_its_memory_as_if_nothing_had_been() -> None:
    for cut in (3, FIRST, WINDOW + 7, 82):
        losses = [*FALLING, *[9.0] * IN_A_ROW]
        first = watched(losses[:cut])
        first.validated(2, 1.5, None)
        first.validated(4, 1.7, None)
        second = Course()
        second.remember(first.memory().model_validate_json(first.memory().model_dump_json()))
        assert second.memory().model_dump(exclude={"seconds"}) == first.memory().model_dump(exclude={"seconds"})
        assert second.doubtful == (cut == 82)
        for step, loss in enumerate(losses[cut:], start=cut + 1):
            second.watch(step, loss, None)
        assert second.first_bad == 81 and second.best_step == 2 and second.waited == 1


def test_the_clock_goes_on_counting(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("ftspace.training.course.time.monotonic", lambda: now[0])
    course = Course()
    now[0] = 160.0
    course.start()
    now[0] = 170.0
    memory = course.memory()
    assert memory.seconds == 10
    now[0] = 1000.0
    course.remember(memory)
    now[0] = 1005.0
    course.start()
    now[0] = 1006.0
    assert course.seconds == 11


def test_patience_and_the_best_by_loss_and_by_score() -> None:
    course = Course(patience=2)
    assert [course.validated(step, loss, None) for step, loss in enumerate([2.0, 1.0, 1.0])] == [True, True, False]
    assert not course.out_of_patience
    assert not course.validated(3, math.nan, None) and course.waited == 1
    assert not course.validated(4, 1.1, None) and course.out_of_patience
    assert course.told() == "the validation loss of 1.000 at step 1"

    course = Course(by_score=True)
    assert [course.validated(step, 9.0, score) for step, score in enumerate([None, 0.0, 0.5, 0.4])] == [
        False,
        True,
        True,
        False,
    ]
    assert course.best_step == 2 and not course.out_of_patience


def test_a_budget_is_spent_by_the_clock_and_what_was_taken_back_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("ftspace.training.course.time.monotonic", lambda: now[0])
    course = Course(budget=Budget(60.0, "1 minute as train.max_minutes says"))
    course.start()
    now[0] += 25
    written = course.memory()
    now[0] += 10
    assert not course.spend(4, 10)
    course.take_back(written.seconds)
    course.remember(written)
    now[0] += 24
    assert course.seconds == 49 and not course.spend(6, 10)
    resumed = Course(budget=course.budget)
    resumed.remember(course.memory())
    now[0] += 2
    assert resumed.seconds == 51 and not resumed.spend(10, 10) and resumed.spent is None
    assert resumed.spend(9, 10)
    assert resumed.spent == "stopped after 1 minute as train.max_minutes says, at step 9 of 10"
    older = Memory.model_validate({name: value for name, value in written.model_dump().items() if name != "lost"})
    resumed.remember(older)
    assert resumed.spent is None and not resumed.spend(4, 10)
