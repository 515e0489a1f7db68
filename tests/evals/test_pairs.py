from typing import Any

import numpy as np
import pytest

from evals.compare import side_by_side
from evals.errors import LogError
from evals.log import EvalLog
from evals.pairs import pairs_among, pairs_of
from tests.evals.test_compare import log_of

RIGHT = [1.0, 0.0, 1.0, 0.0]


def side(which: str, scores: list[float] = RIGHT, **changes: Any) -> EvalLog:
    """A log of a side; of what is changed, the log's own fields are changed in it and others in its spec."""
    own = {name: changes.pop(name) for name in ("asked_with", "model", "adapter", "role") if name in changes}
    samples = log_of("x", scores).samples  # a base asked again writes other answers to the same questions
    return log_of(which, scores, **changes).model_copy(update={"samples": samples, **own})


def test_every_side_is_compared_for_its_own_reason() -> None:
    sides = {
        "base": side("base"),
        "tuned": side("tuned", adapter="a"),
        "base-again": side("base-again", RIGHT[:2], batch_tokens=33, n=2, task_hash="first two"),
        "base-prompted": side("base-prompted", asked_with="examples"),
        "checkpoint-4": side("checkpoint-4", adapter="b"),
        "big": side("big", model="big", base="big", dtype="unknown", tokenizer_hash="", versions={}),
    }
    found = [(one.role, one.side, one.against, len(one.first), one.unscored) for one in pairs_among(sides)]
    assert found == [
        ("gain", "tuned", "base", 4, 0),
        ("noise", "base-again", "base", 2, 0),
        ("prompting", "tuned", "base-prompted", 4, 0),
        ("earlier", "tuned", "checkpoint-4", 4, 0),
        ("reference", "tuned", "big", 4, 0),
    ]
    del sides["tuned"]
    found = [(one.role, one.side, one.against) for one in pairs_among(sides)]
    assert found == [
        ("noise", "base-again", "base"),
        ("prompting", "base-prompted", "base"),
        ("earlier", "base", "checkpoint-4"),
        ("reference", "base", "big"),
    ]
    assert pairs_among({"tuned": side("tuned")}) == []


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (side("big", model="big", max_new_tokens=9), "max_new_tokens"),
        (side("checkpoint-4", adapter="b", batch_tokens=9), "batch_tokens"),
        (side("base-prompted", asked_with="x", seed=9), "seed"),
        (side("base-again", seed=9), "seed"),
    ],
)
def test_each_side_may_differ_only_in_what_makes_it_one(other: EvalLog, words: str) -> None:
    with pytest.raises(LogError, match=words):
        pairs_among({"base": side("base"), other.which: other})


def test_other_questions_and_other_examples_are_refused() -> None:
    base = side("base")
    odd = base.samples[1].model_copy(update={"prompt": "something else"})
    again = side("base-again").model_copy(update={"samples": (base.samples[0], odd)})
    with pytest.raises(LogError, match="sample 1 asks something else"):
        pairs_among({"base": base, "base-again": again})
    with pytest.raises(LogError, match="other examples"):
        pairs_of(base, side("tuned", asked_with="examples"))


def scored(log: EvalLog, metrics: tuple[str, ...], **changes: Any) -> EvalLog:
    """The log with the scores and sums of metrics of which it has none yet."""
    extra = [name for name in metrics if name not in log.samples[0].scores]
    of_set = {name: (1.0,) * 10 for name in extra if name == "bleu"}
    samples = tuple(
        one.model_copy(update={"scores": one.scores | {name: 1.0 for name in extra if name != "bleu"}, "stats": of_set})
        for one in log.samples
    )
    return log.model_copy(update={"samples": samples, "metrics": metrics, **changes})


def test_the_tasks_metrics_come_first_and_only_those_that_both_have() -> None:
    base = scored(side("base"), ("bleu", "exact_match"))
    tuned = scored(side("tuned"), ("bleu", "contains", "exact_match"))
    again = tuned.model_copy(update={"which": "base-again"})
    assert [one.metric.name for one in pairs_of(base, tuned)] == ["bleu", "exact_match"]
    assert [one.metric.name for one in pairs_among({"base": base, again.which: again})] == ["bleu"]
    assert {one.base_score for one in side_by_side([(base, tuned)])} == {0.0, 1.0}, "of single samples only"
    with pytest.raises(LogError, match="scored by accuracy and the other by exact_match"):
        pairs_of(log_of("base", RIGHT, "accuracy"), side("tuned"))


def test_likenesses_by_two_embedding_models_are_refused() -> None:
    one, other = (
        scored(side(which), ("semantic_similarity",), embedding=model)
        for which, model in (("base", "model A"), ("tuned", "model B"))
    )
    with pytest.raises(LogError, match=r"model A in one and by model B"):
        pairs_of(one, other)
    assert pairs_of(one, other.model_copy(update={"embedding": "model A"}))
    assert pairs_of(side("base"), other), "nothing of it is compared"


def test_groups_overlaps_and_missing_scores_stay_with_their_pairs() -> None:
    def marked(which: str) -> EvalLog:
        log = side(which, [1.0, float("nan"), 0.0])
        changes = [{"group": "a"}, {"group": "b", "overlap": True}, {"overlap": True}]
        samples = (one.model_copy(update=change) for one, change in zip(log.samples, changes, strict=True))
        return log.model_copy(update={"samples": tuple(samples)})

    (one,) = pairs_of(marked("base"), marked("tuned"))
    assert (one.groups, one.overlap, one.unscored) == (("a", None), (False, True), 1)
    assert np.array_equal(one.first, [1, 0])
