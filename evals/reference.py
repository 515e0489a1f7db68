"""Lets a reference model behind an endpoint answer a task. Knows endpoints, no scores; loads no model."""

import hashlib
from collections.abc import Callable, Sequence

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
    progress: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> tuple[Sample, ...]:
    """Ask a reference the questions that it has not answered yet.

    Args:
        task: with written answers.
        reference: the model and where it is.
        max_new_tokens: the longest answer.
        before: what it answered earlier; what was no answer is asked again.
        progress: called with (samples done, samples).
        should_stop: True ends with `Stopped`.

    Returns:
        Samples in the task's order, not scored; a call that failed leaves one without an answer.

    Raises:
        EvalError: the address is none, or not one call brought an answer.
        Stopped: `should_stop` said so.
    """
    from evals.endpoint import Failure, ask_reference  # its HTTP client takes a while to import

    found = {int(sample.id): sample for sample in before if not unanswered(sample)}
    wanted = [place for place in range(len(task.samples)) if place not in found]

    def on_answer(done: int, total: int) -> None:
        if progress is not None:
            progress(len(task.samples) - total + done, len(task.samples))

    prompts = [[turn.model_dump() for turn in task.samples[place].messages] for place in wanted]
    results = ask_reference(reference, prompts, max_new_tokens, progress=on_answer, should_stop=should_stop)
    for place, result in zip(wanted, results, strict=True):
        sample = task.samples[place]
        if isinstance(result, Failure):
            found[place] = _sample(place, sample, "", result.reason)
        else:
            answered = _sample(place, sample, result.text, None)
            found[place] = answered.model_copy(update={"finish": result.finish})
    if all(map(unanswered, found.values())):
        raise EvalError(f"{reference.model} answered none of {len(found)} questions: {found[0].unscored}")
    return tuple(found[place] for place in range(len(task.samples)))


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
        overlap=sample.overlap,
        item_hash=sample.item_hash,
    )
