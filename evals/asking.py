"""Asks one side one task, in the way that makes it that side, and keeps its log. One load serves all of them.

Knows how sides differ; knows nothing of comparing. Imports no torch until there is something to ask.
"""

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from evals import examples
from evals.cache import digest
from evals.errors import LogError, ModelError, Stopped
from evals.log import EvalLog, EvalSpec, read_log, write_log
from evals.plan import BASE, TUNED, Again, Earlier, Other, Plan, Prompted, Reference
from evals.reference import answers, spec_of, unanswered
from evals.results import Finding
from evals.scorers.scoring import Embeds, score_log
from evals.shared import SharedLogs
from evals.tasks import Task

if TYPE_CHECKING:
    from evals.executor import Executor

Progress = Callable[[str, str, int, int], None]
LIBRARIES = ("torch", "transformers", "tokenizers", "peft", "lighteval")
AGAIN_SAMPLES = 100
"""The base is asked again at most so many samples of a task: the noise floor needs no more."""
_AGAIN_BATCHES = 3


@dataclass(kw_only=True)
class Asker:
    """One loaded base with its adapters, and where answers go."""

    plan: Plan
    out_dir: Path
    executor: "Executor"
    base_revision: str | None
    progress: Progress | None = None
    should_stop: Callable[[], bool] | None = None
    embedder: Embeds | None = None
    """For semantic similarity."""
    shared: SharedLogs | None = None
    """Where what the base answers is kept for other evaluations, and looked up before it is asked."""
    findings: list[Finding] = field(default_factory=list[Finding])
    """What was seen while asking."""
    _versions: dict[str, str] = field(default_factory=lambda: {name: version(name) for name in LIBRARIES})
    _hashes: dict[str, str | None] = field(default_factory=dict[str, str | None])

    def ask(self, task: Task, side: str, other: Other | None, base: EvalLog | None) -> EvalLog | str | None:
        """Ask a side a task, or take the log that it left before.

        Args:
            task: what to ask.
            side: its name.
            other: how it differs from base and tuned; None for these.
            base: the base's answers to the same task, once there are any.

        Returns:
            The log; why this task can't be asked of this side; or None for a side that is not meant to be asked it.

        Raises:
            Stopped: `should_stop` said so.
            EvalError: the side can't be asked.
        """
        match other:
            case None:
                return self._answers(task, task, side, side, self.plan.adapter if side == TUNED else None)
            case Again():
                return self._again(task, side, base)
            case Prompted():
                return self._prompted(task, side, other)
            case Earlier():
                self._load(other)
                return self._answers(task, task, side, side, other.adapter)
            case Reference():
                if task.kind == "choice":
                    return "an endpoint writes answers, and does not say how likely each choice is"
                if task.benchmark is not None:
                    return "its metrics are LightEval's, which score models that are loaded here"
                return self._referred(task, side, other)

    def _again(self, task: Task, side: str, base: EvalLog | None) -> EvalLog:
        """The base's own questions in at least three batches, so that none is made up as it was."""
        asked = task.head(AGAIN_SAMPLES)
        prompter, new = self.executor.prompter, task.answer_tokens(self.plan.max_new_tokens)
        prompts = base.samples[: len(asked.samples)] if base is not None else ()
        longest = max((len(prompter.tokenizer.encode(sample.prompt)) + new for sample in prompts), default=1)
        budget = max(1, min(self.plan.batch_tokens, longest * len(asked.samples)) // _AGAIN_BATCHES)
        with _anew(self.executor, budget):
            return self._answers(asked, asked, side, BASE, None)

    def _prompted(self, task: Task, side: str, other: Prompted) -> EvalLog | str | None:
        if task.role == "forgetting":
            return None  # a prompt can make nothing be forgotten
        if reason := examples.why_not(task, other):
            return reason
        limit = self.executor.max_length
        room = (
            None
            if limit is None
            else limit - (0 if task.kind == "choice" else task.answer_tokens(self.plan.max_new_tokens))
        )
        led = examples.lead(task, other, self.executor.prompter, room)
        if led.shortened:
            self.findings.append(
                Finding(
                    kind="examples left out",
                    tone="note",
                    task=task.name,
                    message=f"{side}: not all {led.examples} examples fit into the model's context before "
                    f"{led.shortened} of {len(task.samples)} questions of {task.name}; the fewest before one are "
                    f"{led.fewest}",
                )
            )
        return self._answers(task, led.task, side, BASE, None, examples.asked_with(other))

    def _load(self, other: Earlier) -> None:
        """Load an earlier adapter beside the tuned one, once."""
        from evals.sides import names

        if other.name in names(self.executor.model):
            return
        if self.plan.adapter is None:
            raise ModelError("there is no tuned adapter that it could be loaded beside; name it as the tuned one")
        from evals.adapters import add_adapters

        add_adapters(self.executor.model, self.executor.prompter.tokenizer, {other.name: other.adapter})

    def _referred(self, task: Task, side: str, other: Reference) -> EvalLog:
        """What an endpoint answers; calls that failed in an earlier evaluation are made again."""
        spec, path = spec_of(self._spec(task), other), self.out_dir / task.name / f"{side}.json"
        log = _finished(path, spec, None, None)
        if log is not None and not any(map(unanswered, log.samples)):
            return self._kept(path, log, task)
        started, clock = datetime.now(UTC), time.perf_counter()
        self._tell(task.name, side, 0, spec.n)
        samples = answers(
            task,
            other,
            spec.max_new_tokens,
            log.samples if log is not None else (),
            cache=self.executor.cache,
            progress=lambda done, total: self._tell(task.name, side, done, total),
            should_stop=self.should_stop,
        )
        log = EvalLog(
            spec=spec,
            which=side,
            role=task.role,
            model=other.model,
            started=started.isoformat(timespec="seconds"),
            seconds=round(time.perf_counter() - clock, 3),
            samples=samples,
        )
        return self._written(path, log, task)

    def _answers(
        self,
        task: Task,
        asked: Task,
        side: str,
        which: str,
        adapter: str | Path | None,
        asked_with: str | None = None,
    ) -> EvalLog:
        """The side's log: one that lies there already, or what the loaded model answers as `which` to `asked`."""
        spec, adapter_hash = self._spec(task), self._hash(adapter)
        path = self.out_dir / task.name / f"{side}.json"
        log = _finished(path, spec, adapter_hash, asked_with)
        if log is not None:
            return self._kept(path, log, task)
        if self.should_stop is not None and self.should_stop():
            raise Stopped("stopped")
        lender = self.shared if adapter is None else None
        if lender and (log := lender.take(spec, side, asked_with, self.executor.max_length)):
            self._tell(task.name, side, spec.n, spec.n)
            return self._written(path, log, task)
        if self.executor.cache is not None and self.base_revision is not None:
            computed = (
                self.base_revision,
                spec.tokenizer_hash,
                spec.dtype,
                spec.quantization,
                spec.device,
                spec.versions,
            )
            self.executor.cache.know(which, digest(computed, adapter_hash))
        log = self._run(spec, asked, side, which, path.parent).model_copy(
            update={
                "adapter": None if adapter is None else str(adapter),
                "adapter_hash": adapter_hash,
                "asked_with": asked_with,
            }
        )
        log = self._written(path, log, task)
        if lender:
            lender.keep(log, self.executor.max_length)
        return log

    def _kept(self, path: Path, log: EvalLog, task: Task) -> EvalLog:
        """A log that lies there, with the task's role, marks and metrics of now: no answer depends on them."""
        self._tell(task.name, log.which, log.spec.n, log.spec.n)
        return self._written(path, log, task, before=log)

    def _written(self, path: Path, log: EvalLog, task: Task, before: EvalLog | None = None) -> EvalLog:
        """The log with all its scores, written unless it is as before."""
        own = task if task.benchmark is None else None
        log = score_log(_marked(log, task), own, self.plan.metrics, self.embedder)
        if before is None or log.model_dump_json() != before.model_dump_json():
            write_log(path, log)
        return log

    def _run(self, spec: EvalSpec, asked: Task, side: str, which: str, folder: Path) -> EvalLog:
        from evals.lighteval import run_task  # slow to import: only when there is something to ask

        started, clock = datetime.now(UTC), time.perf_counter()
        self._tell(spec.task, side, 0, spec.n)
        samples = run_task(
            asked,
            self.executor,
            which,
            folder if side == which else folder / side,
            max_new_tokens=spec.max_new_tokens,
            progress=lambda done, total: self._tell(spec.task, side, done, total),
        )
        return EvalLog(
            spec=spec,
            which=side,
            role=asked.role,
            started=started.isoformat(timespec="seconds"),
            seconds=round(time.perf_counter() - clock, 3),
            samples=samples,
        )

    def _spec(self, task: Task) -> EvalSpec:
        executor, plan = self.executor, self.plan
        return EvalSpec(
            base=str(plan.base),
            base_revision=self.base_revision,
            task=task.name,
            task_hash=task.content_hash,
            kind=task.kind,
            n=len(task.samples),
            dtype=executor.dtype,
            quantization=plan.quantization,
            device=executor.device,
            tokenizer_hash=executor.prompter.tokenizer_hash,
            template_hash=None if all(one.raw for one in task.samples) else executor.prompter.template_hash,
            max_new_tokens=task.answer_tokens(plan.max_new_tokens),
            end_ids=executor.end_ids,
            batch_tokens=executor.batch_tokens,
            few_shot=task.few_shot,
            seed=plan.seed,
            versions=self._versions,
        )

    def _hash(self, adapter: str | Path | None) -> str | None:
        """A hash of an adapter's weights, computed once."""
        if adapter is None:
            return None
        from evals.places import adapter_folder, fingerprint

        if str(adapter) not in self._hashes:
            self._hashes[str(adapter)] = fingerprint(adapter_folder(adapter))
        return self._hashes[str(adapter)]

    def _tell(self, task: str, side: str, done: int, total: int) -> None:
        if self.progress is not None:
            self.progress(task, side, done, total)


@contextmanager
def _anew(executor: "Executor", budget: int) -> Generator[None]:
    """Batches of another size, and no answer from among those that are kept."""
    before, kept = executor.batch_tokens, executor.cache
    executor.batch_tokens, executor.cache = budget, None
    try:
        yield
    finally:
        executor.batch_tokens, executor.cache = before, kept


def _finished(path: Path, spec: EvalSpec, adapter_hash: str | None, asked_with: str | None) -> EvalLog | None:
    """Return the log at `path` if it answers just this; one that is damaged or of something else is written anew."""
    if not path.exists():
        return None
    try:
        log = read_log(path)
    except LogError:
        return None
    return log if (log.spec, log.adapter_hash, log.asked_with) == (spec, adapter_hash, asked_with) else None


def _marked(log: EvalLog, task: Task) -> EvalLog:
    marked = (
        sample.model_copy(update={"overlap": one.overlap, "category": one.category})
        for sample, one in zip(log.samples, task.samples, strict=True)
    )
    return log.model_copy(update={"role": task.role, "samples": tuple(marked)})
