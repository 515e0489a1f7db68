"""All that a report says of a run, read from its folder: a pure function of what lies there. Knows no HTML."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from evals.errors import LogError
from evals.log import EvalLog, read_log
from evals.plan import BASE
from evals.results import read_results
from ftspace import __version__
from ftspace.data.prepare import Manifest
from ftspace.events import Started, read_events
from ftspace.hub.bundle.origins import known_origins
from ftspace.hub.bundle.published import published
from ftspace.labels import name_of
from ftspace.reasons import EXPLAINED
from ftspace.report.chart import Curve, Point
from ftspace.report.regressions import Answers, answers
from ftspace.report.results_view import ResultsView, results_view
from ftspace.runs import Run
from ftspace.state import RunState, fold
from ftspace.words import STATUS_WORDS, TONES, Tone, count, duration, number, sentence, short, when

Facts = list[tuple[str, str]]
_TEXTS: tuple[str, ...] = ("system", "prompt_template", "completion_template")


@dataclass(frozen=True)
class Report:
    """What a report says."""

    run_id: str
    title: str
    when: str
    status: str
    tone: Tone
    told: str
    """Why it failed, in fixed words: the job's own may name paths, or quote rows."""
    results: ResultsView | None
    """None where nothing was compared."""
    training: Sequence[Point]
    validation: Sequence[Point]
    every: int
    """So many steps are put together in a point of the training curve."""
    texts: bool
    """Whether questions and answers may be shown."""
    answers: Answers
    recipe: Facts
    data: Facts
    versions: Facts
    config: str
    """The run's config as YAML, without paths of the machine."""


def gather(run: Run, *, texts: bool = True) -> Report:
    """Reads all of it. Without `texts` no question, answer or system prompt is in it. Raises JobError, LogError."""
    events, _ = read_events(run.events)
    state = fold(events)
    status = state.status(run.jobs, alive=run.is_alive(), stop_requested=False, ticket=run.ticket.exists())
    results = read_results(run.results) if run.results.exists() else None
    end = state.end(run.jobs)
    training, validation = Curve(), Curve()
    found = answers(run, results) if results else Answers()
    return Report(
        run_id=run.id,
        title=name_of(run),
        when=when(run.id),
        status=STATUS_WORDS[status],
        tone=TONES[status],
        told=sentence(EXPLAINED[end.reason].title) if end and end.status == "failed" else "",
        results=results_view(results) if results else None,
        training=training.follow(state.steps),
        validation=validation.follow(state.validations),
        every=training.every,
        texts=texts,
        answers=found if texts else Answers(lost=found.lost, asked=found.asked),
        recipe=list(_recipe(run, state)),
        data=list(_data(run)),
        versions=list(_versions(run, [one.versions for one in events if isinstance(one, Started)])),
        config=_shareable(run, texts=texts),
    )


def _recipe(run: Run, state: RunState) -> Iterator[tuple[str, str]]:
    model, lora, train = run.config.model, run.config.lora, run.config.train
    at = f", revision {model.revision}" if model.revision else ""
    yield "Base model", f"{short(model.id)}{at}"
    adapter = f"{lora.method}, rank {lora.r}, alpha {lora.alpha}, {_listed(lora.target_modules)}"
    yield "What is trained", lora.method if lora.method == "full" else adapter
    prepared = state.prepared
    if prepared is not None:
        share = prepared.trainable_parameters / max(1, prepared.parameters)
        yield "Trained weights", f"{count(prepared.trainable_parameters)} ({100 * share:.1f} %)"
        yield "Steps", f"{state.steps[-1].step if state.steps else 0:,} of {prepared.total_steps:,}"
    chosen = {**train.model_dump(), **(prepared.recipe if prepared else {})}
    for name, words in (("learning_rate", "Learning rate"), ("batch_size", "Batch, in rows"), ("epochs", "Epochs")):
        if chosen.get(name) is not None:
            yield words, f"{chosen[name]:g}"
    yield "Schedule", f"{train.scheduler}, warm-up {100 * train.warmup:g} %, {train.optimizer}"
    yield "Longest row, in tokens", f"{train.max_length:,}"
    yield "Loss on", train.loss_on
    if prepared is not None:
        held = "" if model.quantization == "none" else f", base held in {model.quantization}"
        together = f"{prepared.processes} processes on " if prepared.processes > 1 else ""
        yield "Device and precision", f"{together}{prepared.device}, {prepared.dtype}{held}"
    if state.steps:
        yield "Tokens seen", f"{state.steps[-1].tokens:,}"
        yield "Time of training", duration(state.steps[-1].seconds)
    if state.validations:
        ends = list(dict.fromkeys(number(one.loss) for one in (state.validations[0], state.validations[-1])))
        yield "Validation loss", " → ".join(ends)
    yield "Seed", str(train.seed)


def _data(run: Run) -> Iterator[tuple[str, str]]:
    data = run.config.data
    yield "Dataset", short(data.id) + (f", {data.config}" if data.config else "")
    try:
        found = Manifest.model_validate_json((run.data / "manifest.json").read_bytes())
    except (OSError, ValidationError):
        return
    if found.revision:
        yield "Revision", found.revision
    yield "Read as", found.format
    yield "Rows read", f"{found.read:,}"
    for split, rows in found.rows.items():
        origin = found.splits.get(split, "")
        yield f"Rows to {_PURPOSES[split]}", f"{rows:,}" + (f" ({origin})" if origin else "")
    unusable = sum(found.dropped.values())  # the reasons may quote a row
    left_out = [f"{unusable:,} that cannot be used"] * bool(unusable)
    left_out += [f"{rows:,} for {reason}" for reason, rows in found.removed.items()]
    yield "Left out", ", ".join(left_out) or "none"
    if found.unused:
        yield "Not used", f"{found.unused:,} training rows beyond a share of {data.fraction:g}"
    yield "Test rows that training repeats", f"{found.overlap:,}"
    yield "SHA-256 of the rows", found.content_hash


_PURPOSES = {"train": "train", "validation": "validate", "test": "test"}


def _versions(run: Run, told: Sequence[dict[str, str]]) -> Iterator[tuple[str, str]]:
    yield "ftspace", __version__
    log = _any_log(run)
    found = {name: version for one in (*told, log.spec.versions if log else {}) for name, version in one.items()}
    yield from sorted(found.items())
    if log is not None:
        spec = log.spec
        held = "" if spec.quantization == "none" else f", base held in {spec.quantization}"
        yield "Compared on", f"{spec.device}, {spec.dtype}{held}"
        if spec.base_revision:
            yield "Base model's revision or fingerprint", spec.base_revision


def _any_log(run: Run) -> EvalLog | None:
    """The base's answers to the first task that has any."""
    for path in sorted(run.evals.glob(f"*/{BASE}.json")):
        try:
            return read_log(path)
        except LogError:
            continue
    return None


def _shareable(run: Run, *, texts: bool) -> str:
    """The config as YAML, without this machine's places."""
    config, _ = published(run.config, known_origins(run))
    if not texts:
        blank = dict.fromkeys(_TEXTS)
        config = config.model_copy(update={"data": config.data.model_copy(update=blank)})
    return config.to_yaml()


def _listed(names: str | list[str]) -> str:
    return names if isinstance(names, str) else ", ".join(names)
