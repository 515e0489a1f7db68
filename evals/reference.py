"""Lets a reference model behind an endpoint answer a task. Knows endpoints, no scores; loads no model."""

import hashlib
from collections.abc import Callable, Sequence
from typing import Literal

from evals.cache import AnswerCache, digest
from evals.errors import EvalError
from evals.log import EvalSpec, Sample
from evals.plan import Reference
from evals.tasks import Task, TaskSample


def spec_of(asked: EvalSpec, reference: Reference) -> EvalSpec:
    """What is known of how a reference answered: what was asked, and of whom; the rest is the endpoint's own."""
    return asked.model_copy(
        update={
            "base": reference.model,
            "base_revision": hashlib.sha256(reference.url.encode()).hexdigest()[:16],  # an address may hold a key
            "dtype": "unknown",
            "quantization": "unknown",
            "device": "endpoint",
            "tokenizer_hash": "",
            "template_hash": None,
            "end_ids": (),
            "batch_tokens": 0,
            "versions": {},
        }
    )


def answers(
    task: Task,
    reference: Reference,
    max_new_tokens: int,
    before: Sequence[Sample] = (),
    *,
    cache: AnswerCache | None = None,
    progress: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> tuple[Sample, ...]:
    """Ask a reference the questions that it has not answered yet.

    Args:
        task: with written answers.
        reference: the model and where it is.
        max_new_tokens: the longest answer.
        before: what it answered earlier; what was no answer is asked again.
        cache: answers are kept there as they come, and those that are known are not paid for again.
        progress: called with (samples done, samples).
        should_stop: True ends with `Stopped`.

    Returns:
        Samples in the task's order, not scored; a call that failed leaves one without an answer.

    Raises:
        EvalError: the address is none, or not one call brought an answer.
        Stopped: `should_stop` said so.
    """
    from evals.endpoint import Failure, Question, ask  # its HTTP client takes a while to import
    from evals.providers import Endpoint

    found = {int(sample.id): sample for sample in before if not unanswered(sample)}
    prompts = [[turn.model_dump() for turn in sample.messages] for sample in task.samples]
    keys = [digest("endpoint", reference.url, reference.model, prompt, max_new_tokens) for prompt in prompts]
    for place, key in enumerate(keys):
        known = None if cache is None or place in found else cache.get(key)
        if known is not None:
            found[place] = _answered(place, task.samples[place], *known)
    wanted = [place for place in range(len(task.samples)) if place not in found]

    endpoint = Endpoint(reference.url, reference.model, reference.token)
    jobs = [(endpoint, Question(prompts[place], max_new_tokens)) for place in wanted]
    for number, result in ask(jobs, should_stop=should_stop):
        place = wanted[number]
        sample = task.samples[place]
        if isinstance(result, Failure):
            found[place] = _sample(place, sample, "", result.reason)
        else:
            found[place] = _answered(place, sample, result.text, result.finish)
            if cache is not None:
                cache.put({keys[place]: [result.text, result.finish]})
        if progress is not None:
            progress(len(found), len(task.samples))
    if all(map(unanswered, found.values())):
        raise EvalError(f"{reference.model} answered none of {len(found)} questions: {found[0].unscored}")
    return tuple(found[place] for place in range(len(task.samples)))


def _answered(place: int, sample: TaskSample, text: str, finish: Literal["end", "length"]) -> Sample:
    return _sample(place, sample, text, None).model_copy(update={"finish": finish})


def unanswered(sample: Sample) -> bool:
    """Whether the call for a sample failed; one that only can't be scored is no such."""
    return sample.finish is None


def _sample(place: int, sample: TaskSample, text: str, problem: str | None) -> Sample:
    return Sample(
        id=str(place),
        prompt="\n".join(f"{turn.role}: {turn.content}" for turn in sample.messages),
        expected=sample.answers if sample.checks is None else (sample.checks.describe(),),
        output=text,
        unscored=problem,
        group=sample.group,
        category=sample.category,
        overlap=sample.overlap,
        item_hash=sample.item_hash,
    )
