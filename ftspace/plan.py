"""What a run's evaluation asks of whom, made from its config and what lies in its folder. Asks nobody, loads no model.

What cannot be asked any more, such as a checkpoint that was removed, is left out and told: training was paid for.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from evals.asking import AGAIN_SAMPLES
from evals.examples import why_not
from evals.plan import Again, Earlier, Other, Plan, Prompted, Reference
from evals.tasks import Message, Task
from ftspace.access import Visitor
from ftspace.data.messages import Conversation, uses_tools
from ftspace.data.prepare import PreparedRow, read_rows, read_split
from ftspace.errors import FtspaceError, ModelError
from ftspace.examples import choose_examples, plain
from ftspace.preflight import CHECKPOINT, HELDOUT, tasks_of
from ftspace.runs import Run, RunStore, is_run_id
from ftspace.sections import ModelConfig
from ftspace.settings import reference_token, resolve_local
from ftspace.starting import adapter_of_run
from ftspace.tokenizer import template_of_model
from ftspace.training.as_adapter import as_adapter
from ftspace.training.checkpoints import name as folder_of
from ftspace.training.checkpoints import steps

_NAME = 60
"""Most letters of a side's name."""
Say = Callable[[str], None]


def plan_of(run: Run, scratch: Path, say: Say) -> Plan | None:
    """The plan; None when there is nothing to ask.

    Args:
        run: with its adapter and its prepared rows.
        scratch: a folder for what must lie on the disk for as long as the evaluation lasts.
        say: told of what is left out, in a line each.

    Raises:
        EvalError: a task's file cannot be read.
    """
    config = run.config
    tasks = _tasks(run, say)
    if not tasks:
        return None
    return Plan(
        base=resolve_local(config.model.id) or config.model.id,
        adapter=run.adapter,
        tasks=tasks,
        others=tuple(_others(run, tasks, scratch, say)),
        trained_on=[_text(row) for row in read_split(run.data, "train")] or None,
        revision=config.model.revision,
        dtype=config.model.dtype,
        device=config.train.device,
        quantization=config.model.quantization,
        trust_code=config.model.trust_code,
        max_new_tokens=config.eval.max_new_tokens,
        limit=config.eval.max_samples,
        batch_tokens=config.eval.batch_tokens,
        metrics=config.eval.metrics,
        embedding_model=_place(config.eval.embedding_model),
        seed=config.eval.seed,
    )


def asks(plan: Plan) -> int:
    """How many samples a plan asks, each side counted."""
    tasks = [task.head(plan.limit) for task in plan.tasks]
    sides: list[Other | None] = [None] * (1 + (plan.adapter is not None))
    return sum(_asks(task, side) for task in tasks for side in (*sides, *plan.others))


def _asks(task: Task, side: Other | None) -> int:
    """How many samples of a task a side is asked; None stands for base and tuned."""
    match side:
        case Again():
            return min(len(task.samples), AGAIN_SAMPLES)
        case Prompted() if task.role == "forgetting" or why_not(task, side):
            return 0
        case Reference() if task.kind == "choice" or task.benchmark is not None:
            return 0
        case _:
            return len(task.samples)


def reference_of(text: str) -> Reference:
    """The endpoint that `eval.reference` names, with the token of this machine's environment."""
    url, _, model = text.partition("#")
    return Reference(url=url, model=model, token=reference_token())


def _tasks(run: Run, say: Say) -> list[Task]:
    chosen = run.config.eval
    tasks = tasks_of(run.config, say)
    if HELDOUT in (*chosen.tasks, *chosen.forgetting):
        held = _held_out(run, say)
        if held is not None:
            forgetting = HELDOUT not in chosen.tasks
            tasks.insert(0, held.model_copy(update={"role": "forgetting"}) if forgetting else held)
    return tasks


def _held_out(run: Run, say: Say) -> Task | None:
    """The run's test split as a task; what of it cannot be asked is told."""
    held = list(read_rows(run.data, "test"))
    rows = [row for row in held if not uses_tools(row.messages)]
    if len(rows) < len(held):
        say(f"{len(held) - len(rows)} held-out conversations use tools and are not asked")
    taken = _taken_by_template(run, rows)
    if len(taken) < len(rows):
        say(f"{len(rows) - len(taken)} held-out conversations are refused by the chat template and not asked")
    if not taken:
        say("the test split has nothing to ask, so heldout is not asked; raise data.test_fraction")
        return None
    repeated = {place for place, row in enumerate(taken) if row.overlap}
    return Task.from_messages(HELDOUT, [row.messages for row in taken], repeated)


def _taken_by_template(run: Run, rows: list[PreparedRow]) -> list[PreparedRow]:
    """The rows whose question the adapter's template can write: as in training, one odd row ends no run."""
    template, _ = template_of_model(ModelConfig(id=str(run.adapter)))
    taken: list[PreparedRow] = []
    for row in rows:
        with suppress(ModelError):
            template.render(row.messages[:-1], add_generation_prompt=True)
            taken.append(row)
    return taken


def _others(run: Run, tasks: Sequence[Task], scratch: Path, say: Say) -> Iterator[Other]:
    chosen = run.config.eval
    if chosen.shots and (prompted := _prompted(run, tasks, say)):
        yield prompted
    taken: set[str] = set()
    for name in chosen.earlier:
        try:
            adapter = _adapter(run, name, scratch)
        except FtspaceError as error:
            say(f"eval.earlier {name} is not asked: {error}")
            continue
        side = _side(name)
        while side in taken:
            side += "-again"
        taken.add(side)
        yield Earlier(side, adapter)
    if chosen.reference:
        yield reference_of(chosen.reference)
    if chosen.noise:
        yield Again()


def _prompted(run: Run, tasks: Sequence[Task], say: Say) -> Prompted | None:
    chosen = run.config.eval
    asked = {plain(turn.content) for task in tasks for one in task.samples for turn in one.messages[-1:]}
    found = choose_examples(read_split(run.data, "train"), asked, chosen.shots, chosen.seed)
    if len(found) < chosen.shots:
        left = "so the base is not asked with examples" if not found else "and only these are shown"
        say(f"{len(found)} training rows are fit to be examples of {chosen.shots}, {left}")
    if not found:
        return None
    examples = tuple(
        (Message(role="user", content=question), Message(role="assistant", content=answer))
        for question, answer in found
    )
    return Prompted(examples, system=run.config.data.system)


def _adapter(run: Run, name: str, scratch: Path) -> str | Path:
    """The adapter that a name of `eval.earlier` stands for. Raises FtspaceError."""
    if checkpoint := CHECKPOINT.fullmatch(name):
        step = int(checkpoint[1])
        kept = steps(run.checkpoints)
        if step not in kept:
            there = ", ".join(f"checkpoint-{one}" for one in kept) or "none"
            raise ModelError(f"that checkpoint is not kept (there are: {there}); raise train.save_total_limit")
        return as_adapter(run.checkpoints / folder_of(step), run.adapter, scratch / name)
    if is_run_id(name):
        return adapter_of_run(RunStore(run.path.parent), name, Visitor(run.access.owner, may_start=False))
    return _place(name) or name


def _side(name: str) -> str:
    """The name of an earlier side: without dots and slashes, and unlike those of the sides that are always there."""
    if CHECKPOINT.fullmatch(name):
        return name
    if is_run_id(name):
        return f"run-{name}"
    parts = [part for part in name.split("/") if part]
    last = parts[-2] if len(parts) > 1 and parts[-1] == "adapter" else parts[-1]
    return ("adapter-" + re.sub(r"[^A-Za-z0-9_-]+", "-", last).strip("-"))[:_NAME]


def _place(name: str | None) -> str | Path | None:
    return name and (resolve_local(name) or name)


def _text(row: Conversation) -> str:
    """What a training row says; a system prompt, which all rows may share, tells none from another."""
    return "\n".join(turn["content"] for turn in row if turn["role"] != "system")
