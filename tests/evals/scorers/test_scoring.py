import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pytest
import sacrebleu

from evals.errors import TaskError
from evals.log import EvalLog, EvalSpec, Sample
from evals.metrics import METRICS
from evals.scorers.scoring import metrics_for, score_log
from evals.scorers.sums import chrf
from evals.tasks import Checks, Message, Task, TaskSample

DESCRIBING = ["length", "refusal", "repetition", "cut_off"]
ASKED = (Message(role="user", content="?"),)
SCHEMA = {"type": "object", "required": ["name"]}


def task(*answers: str | tuple[str, ...], checks: Sequence[Checks] = ()) -> Task:
    accepted = [(one,) if isinstance(one, str) else one for one in answers]
    samples = [TaskSample(messages=ASKED, answers=one) for one in accepted]
    samples += [TaskSample(messages=ASKED, checks=one) for one in checks]
    return Task(name="t", kind="checks" if checks else "generation", samples=tuple(samples))


def log(asked: Task, *outputs: str, finish: Literal["end", "length"] | None = "end", **more: Any) -> EvalLog:
    spec = EvalSpec(
        base="b", task="t", task_hash=asked.content_hash, kind=asked.kind, n=len(outputs), dtype="float32",
        device="cpu", tokenizer_hash="", max_new_tokens=8, end_ids=(0,), batch_tokens=99, seed=0, versions={},
    )  # fmt: skip
    samples = [
        Sample(id=str(place), prompt="?", expected=known.answers, output=output, finish=finish, **more)
        for place, (known, output) in enumerate(zip(asked.samples, outputs, strict=True))
    ]
    return EvalLog(spec=spec, which="base", started="2026-01-01T00:00:00+00:00", seconds=1, samples=tuple(samples))


@pytest.mark.parametrize(
    ("asked", "suited"),
    [
        (task("Rome", "New York City", "a much longer answer than these"), ["exact_match", "contains"]),
        (task("He lives in Rome.", "She is from Paris."), ["exact_match", "token_f1", "rouge_l"]),
        (task("我住在北京。", "他喜欢红色的房子"), ["exact_match", "token_f1", "chrf"]),
        (task('{"name": "Ben"}', "[1, 2]"), ["exact_match", "json_valid", "token_f1"]),
        (task("1", "2"), ["exact_match", "contains"]),
        (task(checks=[Checks(regex="a"), Checks(json_schema=SCHEMA)]), ["checks", "json_valid"]),
        (task(checks=[Checks(json_schema=SCHEMA)]), ["checks"]),
    ],
)
def test_metrics_suit_what_is_expected(asked: Task, suited: list[str]) -> None:
    assert [one.name for one in metrics_for(asked)] == [*suited, *DESCRIBING]


def test_chosen_metrics_are_taken_where_they_can_be() -> None:
    facts = task("Rome")
    assert [one.name for one in metrics_for(facts, ["bleu", "rouge_l", "checks"])] == ["bleu", "rouge_l", *DESCRIBING]
    assert [one.name for one in metrics_for(task(checks=[Checks(regex="a")]), ["bleu"])] == ["checks", *DESCRIBING]
    assert [one.name for one in metrics_for(facts, embedding=True)][2] == "semantic_similarity"
    assert [one.name for one in metrics_for(Task(name="t", kind="choice", samples=facts.samples), ["bleu"])] == [
        "accuracy"
    ]
    with pytest.raises(TaskError, match=r"'rougeL'; did you mean rouge_l\?"):
        metrics_for(facts, ["rougeL"])
    with pytest.raises(TaskError, match="needs an embedding model"):
        metrics_for(facts, ["semantic_similarity"])


def test_every_metric_that_can_be_chosen_is_computed_and_scoring_twice_is_scoring_once() -> None:
    asked = task(("He lives in Rome.", "In Rome, he lives."), "She is from Paris, France.")
    chosen = [name for name in METRICS if name not in ("accuracy", "checks", "semantic_similarity")]
    scored = score_log(log(asked, "In Rome he lives.", "Sorry, I can't do that."), asked, chosen)
    first, second = scored.samples
    assert first.scores == {
        "exact_match": 0, "contains": 0, "token_f1": 1, "rouge_l": 1, "word_similarity": 1, "json_valid": 0,
        "length": 4, "refusal": 0, "repetition": 0, "cut_off": 0,
    }  # fmt: skip
    assert second.scores["refusal"] == 1 and second.unscored is None
    assert set(first.stats) == {"bleu", "chrf"}
    expected = [["He lives in Rome.", "She is from Paris, France."], ["In Rome, he lives.", ""]]
    theirs = sacrebleu.corpus_chrf([first.output, second.output], expected).score
    totals = np.array([first.stats["chrf"], second.stats["chrf"]]).sum(axis=0)
    assert float(chrf(totals)) == pytest.approx(theirs / 100)
    assert score_log(scored, asked, chosen) == scored


def test_what_came_with_the_answers_stays_and_what_is_computed_here_is_computed_anew() -> None:
    asked = task("Rome")
    given = log(
        asked, "Rome", scores={"exact_match": 0.25, "reference_logprob": -1.0}, stats={"perplexity": (1.0, 2.0)}
    )
    chosen = score_log(given, asked, ["bleu", "contains"])
    (sample,) = chosen.samples
    assert chosen.metrics == ("bleu", "contains")
    assert list(sample.scores) == ["contains", "reference_logprob", *DESCRIBING]
    assert set(sample.stats) == {"perplexity", "bleu"}
    suited = score_log(chosen, asked)
    (sample,) = suited.samples
    assert suited.metrics == ("exact_match", "contains") and set(sample.stats) == {"perplexity"}
    assert list(sample.scores) == ["exact_match", "contains", "reference_logprob", *DESCRIBING]
    assert sample.scores["exact_match"] == 1
    stale = sample.model_copy(update={"scores": {**sample.scores, "contains": 0.0, "refusal": 1.0}})
    assert score_log(suited.model_copy(update={"samples": (stale,)}), asked) == suited
    theirs = score_log(given, None)
    assert list(theirs.samples[0].scores) == ["exact_match", "reference_logprob", *DESCRIBING]
    assert theirs.samples[0].scores["exact_match"] == 0.25 and theirs.metrics == ()


def test_a_sample_without_an_answer_has_no_score_at_all() -> None:
    asked = task("He lives in Rome.")
    for scores in ({"exact_match": math.nan}, {"contains": math.nan}, {}):
        sample = score_log(log(asked, "", unscored="too long", scores=scores), asked, ["exact_match", "chrf"]).samples[
            0
        ]
        assert list(sample.scores) == ["exact_match", *DESCRIBING]
        assert all(map(math.isnan, sample.scores.values()))
        assert (sample.stats, sample.unscored) == ({}, "too long")


def test_a_score_that_cannot_be_had_is_missing_with_the_reason() -> None:
    asked = task("?!")
    scored = score_log(log(asked, "Rome", finish=None), asked, ["exact_match", "token_f1"])
    sample = scored.samples[0]
    assert sample.unscored == "token_f1: no word is expected; cut_off: how the answer ended isn't known"
    assert math.isnan(sample.scores["token_f1"]) and math.isnan(sample.scores["cut_off"])
    assert sample.scores["exact_match"] == 0 and sample.scores["length"] == 1
    again = score_log(scored, asked, ["exact_match", "token_f1"])
    assert again.model_dump_json() == scored.model_dump_json()
    assert score_log(scored, asked, ["exact_match"]).samples[0].unscored == "cut_off: how the answer ended isn't known"


def test_checks_and_schemas() -> None:
    far = {"properties": {"a": {"$ref": "https://a.example/b"}}}
    asked = task(checks=[Checks(regex="Ben", json_schema=SCHEMA), Checks(json_schema=far)])
    right, wrong = score_log(log(asked, '{"name": "Anna"}', '{"a": 1}'), asked).samples
    assert (right.scores["checks"], right.scores["json_valid"]) == (0, 1)
    assert math.isnan(wrong.scores["checks"]) and "can't be applied" in str(wrong.unscored)


def test_likeness_in_meaning_is_that_to_the_nearest_answer() -> None:
    class Likeness:
        def __init__(self, whole: float) -> None:
            self.identity, self.whole = f"of {whole}", whole

        def similarities(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
            return [len(expected) / self.whole for _, expected in pairs]

    asked = task(("abc", "abcde"), "ab")
    scored = score_log(log(asked, "one", "two"), asked, embedder=Likeness(10))
    assert [one.scores["semantic_similarity"] for one in scored.samples] == [0.5, 0.2]
    other = score_log(scored, asked, embedder=Likeness(20))
    assert [one.scores["semantic_similarity"] for one in other.samples] == [0.25, 0.1]
    assert (scored.embedding, other.embedding) == ("of 10", "of 20")


def test_what_was_measured_with_the_answers_can_come_first() -> None:
    asked = task("Rome")
    assert [one.name for one in metrics_for(asked, ["reference_logprob"])] == ["reference_logprob", *DESCRIBING]
    (measured,) = score_log(
        log(asked, "Rome", scores={"reference_logprob": -1.0}), asked, ["reference_logprob"]
    ).samples
    assert list(measured.scores) == ["reference_logprob", *DESCRIBING]
    (written,) = score_log(log(asked, "Rome"), asked, ["reference_logprob"]).samples
    assert list(written.scores) == DESCRIBING and written.unscored is None
