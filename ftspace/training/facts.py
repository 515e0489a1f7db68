"""What an estimate needs to know of a run beside its config: the model's shape, and its rows in tokens. Knows no torch.

Before a run it is found cheaply, from the first rows; the job itself knows it exactly.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from evals.errors import EvalError
from evals.tasks import SUITES, resolve_tasks
from ftspace.config import RunConfig
from ftspace.data.formats import Conversation
from ftspace.data.load import count_rows
from ftspace.data.prepare import Preview, preview
from ftspace.data.sources import own_splits
from ftspace.data.split import Split
from ftspace.errors import ModelError
from ftspace.sections import LossOn
from ftspace.settings import resolve_local
from ftspace.supervision import Tally, supervise
from ftspace.tokenizer import NoTokenizerFile, open_tokenizer
from ftspace.training.shape import Shape, read_shape

SAMPLE = 400
"""Rows that are tokenized."""
COUNTED = 200_000
"""Rows up to which they are counted."""
_CHARACTERS = 4
"""Of a token, where no tokenizer can be read."""


@dataclass(frozen=True)
class Facts:
    """What is known of a run before it begins."""

    shape: Shape
    lengths: Sequence[tuple[int, int]]
    """Tokens and trained tokens of some rows, after the cut."""
    rows: dict[Split, int]
    questions: int
    """Of all tasks."""
    untrained: int = 0
    """Tokens that the base was never trained on, whose rows are trained."""
    doubts: tuple[str, ...] = ()


def find_facts(config: RunConfig) -> Facts:
    """Looks at the model's headers and the dataset's first rows. Raises FtspaceError."""
    doubts: list[str] = []
    first = preview(config.data, SAMPLE)
    rows = rows_of(config, first, doubts)
    return facts_of(config, first.conversations, rows, doubts)


def rows_of(config: RunConfig, first: Preview, doubts: list[str]) -> dict[Split, int]:
    """How many rows each split will have, before any filter, going by the first ones; `doubts` gets why it is rough.

    Raises DatasetError, or HubError.
    """
    usable = len(first.conversations) / (len(first.conversations) + sum(first.dropped.values()))
    counted = count_rows(config.data, config.data.max_samples or COUNTED)
    if counted is None:
        counted = len(first.conversations)
        doubts.append(f"how many rows {config.data.id} has is not known before they are read: taken for {counted}")
    elif counted >= COUNTED:
        doubts.append(f"the dataset has more than {COUNTED:,} rows: counted so far only, the time is longer")
    kept = round(min(counted, config.data.max_samples or counted) * usable)
    own = own_splits(config.data)
    test = 0.0 if "test" in own else config.data.test_fraction
    validation = 0.0 if "validation" in own else config.data.validation_fraction
    return {
        "train": max(1, round(kept * (1 - test - validation) * config.data.fraction)),
        "validation": _own_rows(config, own, "validation") if "validation" in own else round(kept * validation),
        "test": _own_rows(config, own, "test") if "test" in own else round(kept * test),
    }


def facts_of(
    config: RunConfig, conversations: Sequence[Conversation], rows: dict[Split, int], doubts: Sequence[str] = ()
) -> Facts:
    """The facts, with some conversations and the number of rows known. Raises FtspaceError."""
    shape = read_shape(config.model)
    said = [*shape.doubts, *doubts]
    lengths, untrained = _lengths(config, conversations, said)
    return Facts(shape, lengths, rows, questions_of(config, rows["test"]), untrained, tuple(said))


def _own_rows(config: RunConfig, own: dict[Split, str], split: Split) -> int:
    return count_rows(config.data.model_copy(update={"split": own[split]}), COUNTED) or 0


def _lengths(
    config: RunConfig, conversations: Sequence[Conversation], doubts: list[str]
) -> tuple[list[tuple[int, int]], int]:
    """Tokens and trained tokens of each conversation, and how many tokens' rows are trained."""
    train, loss_on = config.train, config.train.loss_on
    try:
        opened = open_tokenizer(config.model)
    except NoTokenizerFile:
        doubts.append("its tokenizer cannot be read here: tokens are counted as characters by four")
        return [_by_characters(one, train.max_length, loss_on) for one in conversations], 0
    tally = Tally()
    rows = supervise(opened.tokenizer, conversations, train.max_length, train.truncation_side, tally, loss_on)
    found = [(len(row.input_ids), row.supervised) for row in rows if row.supervised]
    if not found:
        raise ModelError("none of the first rows can be trained; see: ftspace inspect")
    return found, len(opened.untrained)


def _by_characters(conversation: Conversation, most: int, loss_on: LossOn) -> tuple[int, int]:
    """Tokens and trained tokens, roughly."""
    turns = [(turn["role"], len(turn["content"]) // _CHARACTERS + 4) for turn in conversation]
    answers = [count for role, count in turns if role == "assistant"]
    total = sum(count for _, count in turns)
    trained = total if loss_on == "all" else sum(answers[-1:] if loss_on == "completion" else answers)
    return min(total, most), min(trained, most)


def questions_of(config: RunConfig, test_rows: int) -> int:
    """How many questions the tasks ask; those of a task that cannot be read are not counted, the checks name it.

    A benchmark that is not fetched yet counts as `eval.max_samples`.
    """
    if not config.eval.tasks:
        return 0
    most = config.eval.max_samples or COUNTED
    count = 0
    for name in (*config.eval.tasks, *config.eval.forgetting):
        path = resolve_local(name)
        if name == "heldout":
            count += min(most, test_rows)
        elif path is None and name not in SUITES:
            count += 0 if name.endswith(".jsonl") else config.eval.max_samples or 0
        else:
            with suppress(EvalError):
                (task,) = resolve_tasks([name if path is None else str(path)])
                count += min(most, len(task.samples))
    return count
