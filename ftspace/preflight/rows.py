"""The lines of the dataset: how it is read, who may read it, which rows are left, and how they look in tokens."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ftspace.checks import Check, check_rows
from ftspace.config import RunConfig
from ftspace.data.formats import Conversation
from ftspace.data.prepare import Preview, preview
from ftspace.data.sources import own_splits
from ftspace.data.split import Split
from ftspace.errors import FtspaceError
from ftspace.hub.finding.find import Repository, look_up
from ftspace.hub.licenses import local_terms
from ftspace.preflight.base import access_ok, access_stop
from ftspace.settings import resolve_local
from ftspace.tokenizer import NoTokenizerFile, open_tokenizer

ROWS = 20
"""Conversations looked at in tokens."""
FEW = 100
"""Training rows below which a word is due: an adapter learns little from them."""


@dataclass(frozen=True)
class SeenRows:
    """What a look at the dataset found."""

    checks: list[Check]
    preview: Preview | None = None
    """Its first rows; None where something stands in the way."""
    repository: Repository | None = None
    """What the Hub has of it; None for a file, offline, and where it is not found."""
    terms: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Its own words on its license."""
    splits: dict[Split, int] | None = None
    """About how many rows each split will have; None where they were not counted."""
    doubts: tuple[str, ...] = ()
    late: bool = False
    """Whether the Hub took too long to answer."""

    @property
    def whole(self) -> bool:
        """Whether nothing stands in the way."""
        return not self.late and all(one.level != "stop" for one in self.checks)


def find_dataset(config: RunConfig) -> SeenRows:
    """Where the rows are, who may read them, and under which license; nothing of them is read yet."""
    name = config.data.id
    path = resolve_local(name)
    if path is not None:
        return SeenRows([], terms=local_terms(path))
    try:
        found = look_up("dataset", name, config.data.revision)
    except FtspaceError as error:
        return SeenRows([access_stop("dataset", name, error) or Check.stop("dataset", error)])
    return SeenRows([access_ok("dataset", found)], repository=found, terms=found.terms) if found else SeenRows([])


def look_at_rows(config: RunConfig, found: SeenRows, *, count: bool) -> SeenRows:
    """The lines of the rows, from the first ones, beside those of `found`; with `count` all are counted, up to a limit.

    Where `found` has a stop it is given back as it is.
    """
    from ftspace.training.facts import SAMPLE, rows_of

    if not found.whole:
        return found
    doubts: list[str] = []
    try:
        first = preview(config.data, SAMPLE if count else ROWS)
        splits = rows_of(config, first, doubts) if count else None
        if splits is None:
            own_splits(config.data)
    except FtspaceError as error:
        return replace(found, checks=[Check.stop("dataset", error), *found.checks])
    checks = [_read(config.data.id, first), *found.checks, _left(config, first, splits)]
    return replace(found, checks=checks, preview=first, splits=splits, doubts=tuple(doubts))


def check_tokens(config: RunConfig, conversations: Sequence[Conversation]) -> list[Check]:
    """The checks of rows in tokens; a warning in their place where the tokenizer cannot be read without transformers.

    Raises ModelError only when the model's files are damaged.
    """
    try:
        opened = open_tokenizer(config.model)
    except NoTokenizerFile as missing:
        return [Check("warning", "tokenizer", f"nothing was checked in tokens: {missing}")]
    return check_rows(opened.tokenizer, conversations, config, opened.origin)


def tried(what: str, look: Callable[[], list[Check]]) -> list[Check]:
    """The lines of a look, or the stop of what it raises."""
    try:
        return look()
    except FtspaceError as error:
        return [Check.stop(what, error)]


def _read(name: str, first: Preview) -> Check:
    format_ = first.understood
    used = ", ".join(f"{role} = {column}" for role, column in format_.mapping.items() if role != column)
    said = f"{name} is read as {first.format}" + (f": {used}" if used else "")
    doubts = [one for one in format_.warnings if format_.confidence < 0.6]
    if doubts:
        return Check("warning", "dataset", f"{said}; {doubts[0]}", "say with data.mapping which column is what")
    return Check("ok", "dataset", said)


def _left(config: RunConfig, first: Preview, splits: Mapping[Split, int] | None) -> Check:
    dropped = sum(first.dropped.values())
    looked = len(first.conversations) + dropped
    why = "; ".join(f"{count} with {reason}" for reason, count in first.dropped.items())
    said = f"of the first {looked} rows {looked - dropped} can be used" + (f" ({why})" if why else "")
    if splits:
        shares = ", ".join(f"{count:,} {split}" for split, count in splits.items())
        said += f"; going by them about {shares} rows"
    if config.data.filters or config.data.review:
        said += "; what filters and the review leave out is known when the run prepares its rows"
    if dropped * 2 > looked:
        return Check("warning", "rows", said, "look at data.mapping: most rows are read otherwise than they were meant")
    if splits and splits["train"] < FEW:
        return Check("warning", "rows", said, f"add rows: from fewer than {FEW} an adapter learns little")
    return Check("ok", "rows", said)
