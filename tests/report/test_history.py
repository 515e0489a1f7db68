import csv
import math
from dataclasses import replace

import pytest

from ftspace.cli import main
from ftspace.config import default_config
from ftspace.events import Event, Resumed, Step, Validation
from ftspace.report.chart import MOST, Curve
from ftspace.report.history import History, as_csv
from ftspace.runs import RunStore
from ftspace.state import fold


def step(number: int, **told: object) -> Step:
    values = {"loss": float(number), "learning_rate": 1e-4, "tokens": 100 * number, "seconds": 2.0 * number}
    return Step.model_validate({"step": number, "epoch": number / 10, **values, **told})


def steps(count: int) -> list[Event]:
    return [step(number, grad_norm=number / 2 if number % 3 else None) for number in range(1, count + 1)]


@pytest.mark.parametrize("count", [1, MOST - 1, MOST, 3_001])
def test_columns_are_thinned_as_the_loss_is_however_they_come(count: int) -> None:
    state, history = fold(steps(count)), History()
    found = history.follow(state)
    curve = Curve()
    assert found.curves["loss"] == [(at, pytest.approx(value)) for at, value in curve.follow(state.steps)]
    assert found.every == curve.every
    growing = History()
    told = [growing.follow(replace(state, steps=state.steps[:end])) for end in (*range(1, count, 311), count)][-1]
    assert told.curves == {name: [pytest.approx(point) for point in points] for name, points in found.curves.items()}


def test_a_speed_counts_no_time_of_validations_and_no_number_is_no_point() -> None:
    told: list[Event] = [Validation(step=0, loss=3.0), step(1), step(2), step(3), Validation(step=3, loss=2.0)]
    told += [step(4, seconds=100.0), step(5, seconds=102.0, loss=math.nan)]
    found = History().follow(fold(told)).curves
    assert found["speed"] == [(2, 50.0), (3, 50.0), (5, 50.0)]
    assert [at for at, _ in found["loss"]] == [1, 2, 3, 4]
    assert found["grad_norm"] == found["memory"] == []


def test_what_a_resume_made_void_is_drawn_anew() -> None:
    history = History()
    history.follow(fold(steps(20)))
    state = fold([*steps(20), Resumed(step=5), step(6, loss=0.5)])
    assert history.follow(state).curves["loss"][-2:] == [(5, 5.0), (6, 0.5)]
    assert [one.step for one in state.resumes] == [5]


def test_all_numbers_are_in_the_csv() -> None:
    told: list[Event] = [
        Validation(step=0, loss=3.0),
        step(1),
        step(2, loss=math.nan),
        Validation(step=2, loss=1, score=0.5),
    ]
    rows = list(csv.DictReader("".join(as_csv(fold(told))).splitlines()))
    assert [(row["step"], row["loss"], row["validation_loss"]) for row in rows] == [
        ("0", "", "3.0"), ("1", "1.0", ""), ("2", "nan", "1.0")
    ]  # fmt: skip
    assert (rows[2]["tokens"], rows[2]["validation_score"], rows[2]["memory"]) == ("200", "0.5", "")


def test_the_command_prints_all_numbers(store: RunStore, capsys: pytest.CaptureFixture[str]) -> None:
    run = store.create(default_config())
    run.events.write_text("".join(event.model_dump_json() + "\n" for event in steps(3)))
    assert main(["runs", "numbers", run.id, "--data-dir", str(store.runs_dir.parent)]) == 0
    assert [line.split(",")[0] for line in capsys.readouterr().out.splitlines()] == ["step", "1", "2", "3"]
