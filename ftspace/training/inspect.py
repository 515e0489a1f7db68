"""A dataset looked through as a run would train on it: format, lengths in tokens, what is cut, what is trained.

Prepares it as a run does, in a folder that goes again, and keeps of each row its length only. Needs no torch for models
that have a tokenizer.json.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import chain, groupby, islice
from pathlib import Path
from typing import Any

import numpy as np

from evals.errors import EvalError
from ftspace.chat import install_template
from ftspace.config import RunConfig
from ftspace.data.formats import Conversation
from ftspace.data.prepare import prepare, preview, read_split
from ftspace.data.split import SPLITS
from ftspace.errors import ModelError
from ftspace.inspection import Checked, Inspection, Shown, TokenCounts
from ftspace.lab import LabRow, lab_row
from ftspace.preflight import check_tokens
from ftspace.sections import ModelConfig, TrainConfig
from ftspace.settings import resolve_local
from ftspace.supervision import IGNORED, Tally
from ftspace.tokenizer import NoTokenizerFile, open_tokenizer
from ftspace.training.tokens import tokenize

SHOWN = 3
"""Conversations shown whole."""
CHECKED = 20
"""Conversations that the checks before a run look at."""
COUNTED = ("length", "template refuses", "tools", "system prompt", "earlier answers")
"""Checks of the first rows whose findings are counted here over all rows."""


def inspect(config: RunConfig, looked: Callable[[int], None] = lambda _: None) -> Inspection:
    """Looks through `config.data` with the tokenizer of `config.model`. Raises FtspaceError; no row usable is one.

    `looked` is told how many rows have been looked at.
    """
    first = preview(config.data, CHECKED)
    checks = check_tokens(config, first.conversations)
    tokenizer = _tokenizer(config.model)
    tally = Tally()
    with tempfile.TemporaryDirectory(prefix="ftspace-inspect-") as folder:
        manifest = prepare(config.data, Path(folder), looked, needs=None)
        rows = chain.from_iterable(read_split(Path(folder), split) for split in SPLITS)
        limit, side = config.train.max_length, config.train.truncation_side
        lengths: list[np.ndarray[Any, np.dtype[np.int32]]] = []
        read = supervised = truncated = lost = 0
        for part in tokenize(tokenizer, rows, limit, side, loss_on=config.train.loss_on):
            lengths.append(part.lengths)
            read += part.read
            supervised += int((part.labels != IGNORED).sum())
            truncated += part.truncated
            lost += part.lost
            tally.merge(part.tally)
    ordered = np.sort(np.concatenate(lengths))
    if not len(ordered):
        raise ModelError(tally.refused.most_common(1)[0][0])
    dropped = manifest.dropped | manifest.removed
    left_out = sum(dropped.values())
    warnings = [*manifest.warnings, *tally.warnings()]
    warnings += [str(check) for check in checks if check.level != "ok" and check.what not in COUNTED]
    if lost:
        warnings.append(f"{lost} rows are not trained: train.max_length ({limit} tokens) cuts their answer off")
    if left_out * 10 > manifest.read:
        warnings.append(f"{left_out} of {manifest.read} rows are left out")
    return Inspection(
        dataset=config.data.id,
        model=config.model.id,
        format=manifest.format,
        mapping=manifest.mapping,
        confidence=manifest.confidence,
        reason=manifest.reason,
        alternatives=list(manifest.alternatives),
        rows=manifest.read,
        dropped=dropped,
        splits={str(split): count for split, count in manifest.rows.items()},
        overlap=manifest.overlap,
        tokens=TokenCounts(
            p50=_percentile(ordered, 50), p95=_percentile(ordered, 95), max=int(ordered[-1]), total=int(ordered.sum())
        ),
        truncated_share=truncated / len(ordered),
        loss_on=config.train.loss_on,
        supervised_share=supervised / read,
        report=manifest.report,
        warnings=list(dict.fromkeys(warnings)),
        checks=[Checked(level=one.level, what=one.what, detail=one.detail, fix=one.fix) for one in checks],
        preview=list(islice(_shown(tokenizer, first.conversations, config.train), SHOWN)),
    )


def _shown(tokenizer: Any, conversations: Sequence[Conversation], train: TrainConfig) -> Iterator[Shown]:
    for conversation in conversations:
        with suppress(ModelError):  # the tally counts it
            row = lab_row(tokenizer, conversation, train.max_length, train.truncation_side, loss_on=train.loss_on)
            yield Shown(messages=[dict(turn) for turn in conversation], rendered=row.text, trained=_trained(row))


def _trained(row: LabRow) -> list[tuple[int, int]]:
    """Where in the text of a row the characters lie that are trained."""
    ranges: list[tuple[int, int]] = []
    start = 0
    for kind, tokens in groupby(row.tokens, lambda token: token.kind):
        stop = start + sum(len(token.text) for token in tokens)
        ranges += [(start, stop)] if kind == "trained" else []
        start = stop
    return ranges


def _tokenizer(config: ModelConfig) -> Any:
    """The tokenizer with its template; by transformers when it has no file of its own. Raises ModelError."""
    try:
        return open_tokenizer(config).tokenizer
    except NoTokenizerFile:
        from evals.models import load_tokenizer

        try:
            tokenizer = load_tokenizer(str(resolve_local(config.id) or config.id), config.revision, config.trust_code)
        except EvalError as error:
            raise ModelError(f"model.id: {error}") from error
        install_template(tokenizer, config.chat_template)
        return tokenizer


def _percentile(ordered: np.ndarray[Any, np.dtype[np.int32]], percent: int) -> int:
    """The length that so many in a hundred do not exceed."""
    return int(ordered[max(0, -(-percent * len(ordered) // 100) - 1)])
