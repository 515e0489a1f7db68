"""A dataset looked through as a run would train on it: format, lengths in tokens, what is cut, what is trained.

Reads all rows that the config asks for, a thousand at a time, and keeps of each its length only.
"""

import sys
from array import array
from collections import Counter
from contextlib import suppress
from itertools import islice
from typing import Any

from evals.errors import EvalError
from evals.models import load_tokenizer
from ftspace.chat import IGNORED, Tally, cut_range, install_template, supervise, template_of
from ftspace.checks import Check
from ftspace.config import RunConfig
from ftspace.data.formats import Conversation, RowProblem, to_conversation
from ftspace.data.prepare import open_rows
from ftspace.errors import DatasetError, ModelError
from ftspace.inspection import Inspection, Shown, TokenCounts
from ftspace.preflight import check_tokens
from ftspace.settings import resolve_local

CHUNK = 1000
"""Conversations tokenized at a time."""
CHECKED = 20
"""Conversations that the checks of a run's start look at."""
COUNTED = ("length", "template refuses", "tools", "system prompt", "earlier answers")
"""Checks of the first rows whose findings are counted here over all rows."""
SHOWN = 3
"""Conversations shown whole."""


def inspect(config: RunConfig) -> Inspection:
    """Looks through `config.data` with the tokenizer of `config.model`. Raises FtspaceError; no row usable is one."""
    fmt, rows, _ = open_rows(config.data)
    try:
        tokenizer: Any = load_tokenizer(str(resolve_local(config.model.id) or config.model.id), config.model.revision)
    except EvalError as error:
        raise ModelError(f"model.id: {error}") from error
    warnings = list(fmt.warnings)
    if not tokenizer.chat_template and config.model.chat_template == "auto":
        warnings.append(f"{config.model.id} has no chat template: it gets ChatML")
    install_template(tokenizer, config.model.chat_template)
    template = template_of(tokenizer)

    read = 0
    dropped: Counter[str] = Counter()
    lengths, limit = array("q"), config.train.max_length
    kept = supervised = truncated = lost = 0
    preview: list[Shown] = []
    checks: list[Check] | None = None
    tally = Tally()
    while chunk := list(islice(rows, CHUNK)):
        conversations: list[Conversation] = []
        for row in chunk:
            try:
                conversations.append(to_conversation(row, fmt, config.data.system))
            except RowProblem as problem:
                dropped[str(problem)] += 1
        read += len(chunk)
        for conversation in conversations[: SHOWN - len(preview)]:
            messages: list[dict[str, Any]] = [dict(turn) for turn in conversation]
            with suppress(ModelError):  # the tally counts it
                preview.append(Shown(messages=messages, rendered=template.render(conversation)))
        if checks is None:
            checks = check_tokens(config, conversations[:CHECKED])
        for whole in supervise(tokenizer, conversations, sys.maxsize, tally=tally):
            low, high = cut_range(whole.input_ids, limit, config.train.truncation_side, tokenizer.bos_token_id)
            trained = sum(label != IGNORED for label in whole.labels[:low] + whole.labels[high:])
            lengths.append(len(whole.input_ids))
            kept += min(len(whole.input_ids), limit)
            supervised += trained
            truncated += len(whole.input_ids) > limit
            lost += not trained
    if not lengths and tally.refused:
        raise ModelError(tally.refused.most_common(1)[0][0])
    if not lengths:
        reasons = ", ".join(f"{count} with {reason}" for reason, count in dropped.most_common())
        raise DatasetError(f"none of the {read} rows of {config.data.id} can be used: {reasons}")
    if lost:
        warnings.append(f"{lost} rows are not trained: train.max_length ({limit} tokens) cuts their answer off")
    warnings += tally.warnings()
    warnings += [str(check) for check in checks or () if check.level != "ok" and check.what not in COUNTED]
    if sum(dropped.values()) * 10 > read:
        warnings.append(f"{sum(dropped.values())} of {read} rows are left out")
    ordered = sorted(lengths)
    return Inspection(
        dataset=config.data.id,
        model=config.model.id,
        format=fmt.name,
        mapping=fmt.mapping,
        confidence=fmt.confidence,
        reason=fmt.reason,
        alternatives=list(fmt.alternatives),
        rows=read,
        dropped=dict(dropped),
        tokens=TokenCounts(
            p50=_percentile(ordered, 50), p95=_percentile(ordered, 95), max=ordered[-1], total=sum(ordered)
        ),
        truncated_share=truncated / len(ordered),
        supervised_share=supervised / kept,
        warnings=warnings,
        preview=preview,
    )


def _percentile(ordered: list[int], percent: int) -> int:
    """The length that so many in a hundred do not exceed."""
    return ordered[max(0, -(-percent * len(ordered) // 100) - 1)]
