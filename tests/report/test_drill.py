import math
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.judge.records import Judgement, write_judgements
from evals.log import read_log, write_log
from evals.results import read_results
from evals.samples import answers_hash
from ftspace.report.breakdown import breakdown
from ftspace.report.drill import MARKS, OUTCOMES, Drill, Place, Wanted, drill_of, winners
from ftspace.report.pairs import pairs
from ftspace.runs import Run, RunStore
from tests.report.made import TASK, log, made

BASE, TUNED = [0, 1, 0, 1, 0, 1, 0.5], [1, 0, 0, 1, math.nan, 0.25, 1]


def judged(run: Run, sample: str, verdicts: tuple[str | None, str | None], *, stale: bool = False) -> list[Judgement]:
    logs = {side: read_log(run.evals / TASK / f"{side}.json") for side in ("base", "tuned")}
    answers = {side: next(one for one in found.samples if one.id == sample) for side, found in logs.items()}
    now = "0" * 16 if stale else answers_hash(answers)
    return [
        Judgement(
            task=TASK, id=sample, judge="J", way="pairwise", side="tuned", against="base", first=first, answers=now,
            verdict=verdict, reply="because",
        )
        for first, verdict in zip(("tuned", "base"), verdicts, strict=True)
    ]  # fmt: skip


@pytest.fixture
def drill(store: RunStore) -> Drill:
    run = made(store, BASE, TUNED)
    path = run.evals / TASK / "tuned.json"
    tuned = read_log(path)
    changes = {"1": {"finish": "length"}, "3": {"output": "text base 3"}}
    write_log(
        path,
        tuned.model_copy(
            update={"samples": tuple(one.model_copy(update=changes.get(one.id, {})) for one in tuned.samples)}
        ),
    )
    base = read_log(path.with_name("base.json"))
    overlapping = (base.samples[0].model_copy(update={"overlap": True}), *base.samples[1:])
    write_log(path.with_name("base.json"), base.model_copy(update={"samples": overlapping}))
    said = judged(run, "0", ("base", "base")) + judged(run, "1", ("tuned", "base"))
    said += judged(run, "5", ("tuned", "tuned"), stale=True) + judged(run, "2", ("tuned", "tuned"))
    write_judgements(run.evals, tuple(said))
    return drill_of(run, read_results(run.results), TASK)


def ids(drill: Drill, wanted: Wanted) -> list[str]:
    return [drill.pairs[at].id for at in drill.select(wanted)]


@pytest.mark.parametrize(
    ("show", "text", "found"),
    [
        ("", "", ["1", "5", "2", "3", "6", "0", "4"]),
        ("right-to-wrong", "", ["1", "5"]),
        ("wrong-to-right", "", ["0"]),
        ("both-wrong", "", ["2"]),
        ("both-right", "", ["3", "6"]),
        ("unscored", "", ["4"]),
        ("differ", "", ["1", "5", "2", "6", "0", "4"]),
        ("judge", "", ["0"]),
        ("contaminated,judge", "", ["0"]),
        ("right-to-wrong,cut", "", ["1"]),
        ("cut,contaminated", "", []),
        ("", " BASE 2 ", ["2"]),
        ("both-right", "asked 3", ["3"]),
        ("nonsense,<b>", "", ["1", "5", "2", "3", "6", "0", "4"]),
    ],
)
def test_what_is_asked_for_is_shown_worst_first(drill: Drill, show: str, text: str, found: list[str]) -> None:
    wanted = Wanted.of(show, text)
    assert ids(drill, wanted) == found
    counts = drill.counts(wanted)
    for one in OUTCOMES:
        assert counts[one] == len(ids(drill, Wanted(one, wanted.marks, wanted.text)))
    for one in MARKS:
        assert counts[one] == len(ids(drill, Wanted(wanted.only, tuple({*wanted.marks, one}), wanted.text)))


def test_judgements_of_other_answers_are_left_out(drill: Drill) -> None:
    assert sorted(drill.judged) == ["0", "1", "2"]
    assert [winners(drill.judged[one])["J"] for one in ("0", "1", "2")] == ["base", "tie", "tuned"]


def test_a_loss_is_a_gain_where_lower_is_better() -> None:
    base, tuned = log("base", [0, 1], ""), log("tuned", [1, 0], "")
    found = Drill(TASK, ("base", "tuned"), pairs(base, base, tuned, better="lower"), "lower")
    assert [(pair.id, pair.change) for pair in found.pairs] == [("0", "right to wrong"), ("1", "wrong to right")]


def test_scores_by_category_hold_back_where_there_are_too_few() -> None:
    base, tuned = log("base", [0.0] * 50, ""), log("tuned", [1.0] * 40 + [0.0] * 9 + [math.nan], "")
    kinds = ["town"] * 40 + ["pet"] * 8 + [None] * 2
    sides = [
        one.model_copy(
            update={
                "samples": tuple(
                    sample.model_copy(update={"category": kind})
                    for sample, kind in zip(one.samples, kinds, strict=True)
                )
            }
        )
        for one in (base, tuned)
    ]
    found = Drill(TASK, ("base", "tuned"), pairs(sides[0], sides[0], sides[1]), metric="exact_match")
    lines = breakdown(found)
    assert [(one.task, one.n, one.verdict) for one in lines] == [
        ("pet", "8", "too few to tell"),
        ("town", "40", "better"),
        ("without a category", "1", "too few to tell"),
    ]
    assert lines[1].delta == "+100.0" and ids(found, Wanted(category="pet")) == [str(place) for place in range(40, 48)]
    assert found.counts(Wanted(category="town"))["wrong to right"] == 40
    assert not breakdown(Drill(TASK, ("base", "tuned"), pairs(base, base, tuned), metric="exact_match"))


def test_what_changes_on_the_disk_is_read_anew(store: RunStore) -> None:
    run = made(store, BASE, TUNED)
    results = read_results(run.results)
    first = drill_of(run, results, TASK)
    assert drill_of(run, read_results(run.results), TASK) is first
    write_log(run.evals / TASK / "tuned.json", log("tuned", [0.0] * 6, "other"))
    assert len(drill_of(run, results, TASK).pairs) == 6


TEXTS = st.text(max_size=30)


@settings(max_examples=15)
@given(
    TEXTS, st.sampled_from(("all", *OUTCOMES)), st.sets(st.sampled_from(list(MARKS))),
    st.sampled_from(("base", "tuned", "checkpoint-40")), TEXTS, TEXTS,
)  # fmt: skip
def test_an_address_shows_the_same(text: str, only: str, marks: set[str], side: str, sample: str, kind: str) -> None:
    wanted = Wanted(only, tuple(one for one in MARKS if one in marks), text.strip(), kind)
    place = Place("towns", side, "tuned", wanted, sample)
    query = dict(parse_qsl(place.address("run-1").removeprefix("?")))
    assert Place.asked(query, ["other", "towns"]) == place and query["run"] == "run-1"
    assert Place.asked(query, ["other"]).task == "other" and Place.asked({}, []) == Place("")
    assert "task" not in place.address("run-1", "towns")


def test_every_answer_can_be_read_without_judgements(store: RunStore) -> None:
    run = made(store, BASE, TUNED)
    Path(run.evals / "judgements.jsonl").write_text("{")
    found = drill_of(run, read_results(run.results), TASK)
    assert len(found.pairs) == len(BASE) and not found.judged
