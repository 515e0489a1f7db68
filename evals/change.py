"""Did tuning change anything, and do the answers follow the questions: what two sides do, whatever it is worth.

Answers follow questions when a reference is likelier after its own question than after another's. A model that was
tuned on rows whose answers belong to other questions learns how answers look, and nothing of when to give which.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from evals.executor import Executor
from evals.findings import identical
from evals.log import EvalLog
from evals.prompts import Prompt
from evals.results import Change
from evals.scorers.exact import normalize
from evals.stats import paired
from evals.tasks import Task, TaskSample
from evals.updates import update_norms

MOST = 100
"""Samples that the probabilities are taken of."""


def change_of(
    tasks: Sequence[Task], base_logs: Sequence[EvalLog], tuned_logs: Sequence[EvalLog], executor: Executor
) -> Change:
    """Measure how far the tuned side is from the base.

    Args:
        tasks: what was asked. Of those with expected answers some samples are looked at, those first that the training
            rows do not repeat: of written answers if there are any, and if possible of tasks that tuning is meant for.
        base_logs: the base's answers.
        tuned_logs: the tuned side's, to the same tasks.
        executor: both, loaded.

    Raises:
        Stopped: the executor was told to.
    """
    same, answers = identical(base_logs, tuned_logs)
    norm, norms = update_norms(executor.model)
    chosen = _chosen(tasks)
    asked = [_pair(executor, sample) for _, sample in chosen]
    apart = [one for one in executor.divergence(asked) if one.problem is None]
    tokens = sum(one.tokens for one in apart)
    return Change(
        identical=same,
        answers=answers,
        kl=sum(one.nats for one in apart) / tokens if tokens else math.nan,
        kl_tokens=tokens,
        update_norm=norm,
        updates=norms,
        **_following(executor, asked, _others(chosen)),
    )


def _chosen(tasks: Sequence[Task]) -> list[tuple[str, TaskSample]]:
    """Samples of the tasks that suit best, by a hash of what they ask."""
    expecting = [task for task in tasks if any(sample.answers for sample in task.samples)]
    best = min(((task.kind == "choice", task.role != "gain") for task in expecting), default=None)
    found = [
        (sample.overlap, sample.item_hash, task.name, sample)
        for task in expecting
        if (task.kind == "choice", task.role != "gain") == best
        for sample in task.samples
        if sample.answers
    ]
    found.sort(key=lambda one: one[:3])
    return [(task, sample) for _, _, task, sample in found[:MOST]]


def _pair(executor: Executor, sample: TaskSample) -> tuple[Prompt, str]:
    prompt = executor.prompter.render([turn.model_dump() for turn in sample.messages], raw=sample.raw)
    return prompt, sample.answers[0]


def _others(chosen: Sequence[tuple[str, TaskSample]]) -> list[int | None]:
    """For each sample the next one of its task that asks something else and expects something else, if there is one."""
    asked = [(task, sample.messages) for task, sample in chosen]
    expected = [{normalize(answer) for answer in sample.answers} for _, sample in chosen]
    places = range(len(chosen))
    return [
        next(
            (
                other
                for other in (*places[place + 1 :], *places[:place])
                if asked[other][0] == asked[place][0]
                and asked[other] != asked[place]
                and not expected[other] & expected[place]
            ),
            None,
        )
        for place in places
    ]


def _following(executor: Executor, asked: Sequence[tuple[Prompt, str]], others: Sequence[int | None]) -> dict[str, Any]:
    """By how many nats the references are likelier after their own question than after the other one."""
    paired_up = [(place, other) for place, other in enumerate(others) if other is not None]
    own = [asked[place] for place, _ in paired_up]
    foreign = [(asked[other][0], asked[place][1]) for place, other in paired_up]
    gained = {which: np.zeros(len(own)) for which in ("base", "tuned")}
    for which, found in gained.items():
        measured = executor.loglikelihood([*own, *foreign], which)
        for place, (mine, theirs) in enumerate(zip(measured, measured[len(own) :], strict=False)):
            found[place] = mine.logprob - theirs.logprob
    scored = ~np.isnan(gained["base"]) & ~np.isnan(gained["tuned"])
    base, tuned = gained["base"][scored], gained["tuned"][scored]
    alone, moved = paired(np.zeros(len(tuned)), tuned), paired(base, tuned)
    return {
        "follows_n": len(tuned),
        "follows_base": float(base.mean()) if len(base) else math.nan,
        "follows_tuned": alone.delta,
        "follows_low": alone.low,
        "follows_high": alone.high,
        "follows_change": moved.delta,
        "follows_change_low": moved.low,
        "follows_change_high": moved.high,
    }
