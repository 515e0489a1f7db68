"""Runs to look through: what each is called and came to, searched, filtered and sorted. Knows no screen, no visitor.

What is told of a run at rest is kept until one of its files changes, so that a thousand are looked through at once.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal, get_args

from evals.errors import LogError
from ftspace.errors import FtspaceError
from ftspace.labels import LABEL, Label, read_label
from ftspace.listing import Glance, progress
from ftspace.reasons import EXPLAINED
from ftspace.runs import Run
from ftspace.state import TERMINAL, Status
from ftspace.words import STATUS_WORDS, TONES, Tone, short, title, when

Outcome = Literal["better", "mixed", "worse", "untold", "none"]
"""What a comparison came to: better and nothing lost, some of each, worse, not shown either way; none was made."""
Show = Literal["all", "at work", "finished", "better", "worse", "failed", "pushed"]
Sort = Literal["newest", "name", "verdict"]
SHOWS: dict[Show, str] = {
    "all": "All",
    "at work": "At work or waiting",
    "finished": "Finished",
    "better": "Better than the base",
    "worse": "Worse, or something lost",
    "failed": "Failed or cut off",
    "pushed": "Pushed to the Hub",
}
SORTS: dict[Sort, str] = {"newest": "Newest first", "name": "Name", "verdict": "Verdict, best first"}
_ORDER: tuple[Outcome, ...] = get_args(Outcome)
_SHOWN: dict[str, Show] = {one: one for one in SHOWS}
_SORTED: dict[str, Sort] = {one: one for one in SORTS}
DAMAGED = "A run that cannot be read"


@dataclass(frozen=True)
class Entry:
    """One run as it stands in a list."""

    run: Run
    title: str
    """Its owner's, else model and dataset."""
    made: str
    """Model and dataset, where the title does not say them."""
    label: Label
    status: Status | None
    """None for a run that cannot be read."""
    words: str
    """How it is, or what it came to."""
    tone: Tone
    when: str
    outcome: Outcome = "none"
    verdict: str = ""
    """What its evaluation said, with figures."""
    seconds: float | None = None
    """For how long its jobs were at work; None where that is not told."""
    pushed: bool = False
    fraction: float | None = None
    """How far a training is."""
    text: str = ""
    """What a search looks at, for all who may see the run."""

    @property
    def is_at_work(self) -> bool:
        """Whether it is at work or waits for its turn."""
        return self.status is not None and self.status not in TERMINAL


@dataclass(frozen=True)
class Query:
    """What is looked for."""

    text: str = ""
    """Words that must all be there."""
    show: Show = "all"
    tag: str = ""
    sort: Sort = "newest"

    @property
    def is_open(self) -> bool:
        """Whether it takes all runs as they come."""
        return not self.text.strip() and self.show == "all" and not self.tag and self.sort == "newest"


def query_of(text: object, show: object, sort: object) -> Query:
    """A query from what a page or a command gives: what is not known is left out. `show` may be `tag:NAME`."""
    shown, said = str(show or ""), str(text or "")[:200]
    tag = shown.removeprefix("tag:") if shown.startswith("tag:") else ""
    return Query(said, _SHOWN.get(shown, "all"), tag, _SORTED.get(str(sort), "newest"))


class Index:
    """Entries of runs, each made once for as long as its files are the same. Any thread may ask."""

    def __init__(self) -> None:
        """Knows none yet."""
        self._kept: dict[str, tuple[tuple[object, ...], Entry]] = {}

    def entry(self, run: Run) -> Entry:
        """How a run is now."""
        key = _key(run)
        kept = self._kept.get(run.id)
        if kept is not None and kept[0] == key and not (kept[1].status == "interrupted" and _is_moving(run)):
            return kept[1]
        entry = _entry(run)
        if entry.status in TERMINAL and not _is_moving(run):
            self._kept[run.id] = (key, entry)
        return entry

    def find(self, runs: Iterable[Run], query: Query, most: int, *, notes: bool = True) -> tuple[list[Entry], bool]:
        """The first entries that a query asks for, and whether there are more. `notes`: those are searched, too."""
        if query.is_open:
            found = [self.entry(run) for run in islice(runs, most + 1)]
        else:
            found = [one for one in map(self.entry, runs) if _fits(one, query, notes=notes)]
            if query.sort == "name":
                found.sort(key=lambda one: one.title.casefold())
            elif query.sort == "verdict":
                found.sort(key=lambda one: _ORDER.index(one.outcome))
        return found[:most], len(found) > most


def tags_of(runs: Iterable[Run]) -> list[str]:
    """The tags of runs, those of most runs first; each once, whatever its case."""
    counts: dict[str, list[str]] = {}
    for run in runs:
        for tag in read_label(run).tags if (run.path / LABEL).exists() else ():
            counts.setdefault(tag.casefold(), []).append(tag)
    return [tags[0] for tags in sorted(counts.values(), key=lambda tags: (-len(tags), tags[0].casefold()))]


def _fits(one: Entry, query: Query, *, notes: bool) -> bool:
    if query.show != "all" and not _is_shown(one, query.show):
        return False
    if query.tag and query.tag.casefold() not in (tag.casefold() for tag in one.label.tags):
        return False
    text = f"{one.text} {one.label.note.casefold()}" if notes else one.text
    return all(word in text for word in query.text.casefold().split())


def _is_shown(one: Entry, show: Show) -> bool:
    match show:
        case "at work":
            return one.is_at_work
        case "finished":
            return one.status == "finished"
        case "better":
            return one.outcome == "better"
        case "worse":
            return one.outcome in ("worse", "mixed")
        case "failed":
            return one.status in (None, "failed", "interrupted")
        case "pushed":
            return one.pushed
        case "all":
            return True


def _is_moving(run: Run) -> bool:
    """Whether more is to come of a run without a word in its events: one that was cut off goes on."""
    return run.ticket.exists() or run.is_alive()


def _key(run: Run) -> tuple[object, ...]:
    """What changes when a run at rest does."""
    return (*map(_stamp, (run.events, run.results, run.path / LABEL)), _pushed(run))


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _pushed(run: Run) -> bool:
    return (run.path / "push").exists() and any(
        (run.path / "push" / what / "record.json").exists() for what in ("adapter", "merged")
    )


def _entry(run: Run) -> Entry:
    label, glance = read_label(run), Glance(run)
    try:
        status, config = glance.status(), run.config
    except FtspaceError:
        name = label.title or DAMAGED
        text = f"{run.id} {name.casefold()}"
        return Entry(run, name, "", label, None, "One of its files is damaged.", "bad", when(run.id), text=text)
    made, fraction = title(config), None
    words, tone, outcome = STATUS_WORDS[status], TONES[status], _outcome(run)
    if status == "finished" and outcome is not None:
        words, tone = outcome[1:]
    elif status == "running":
        words, fraction = progress(run)
    elif status == "failed" and (end := glance.state.end(run.jobs)):
        words = f"Failed: {EXPLAINED[end.reason].title}"
    ended = [one.seconds for one in glance.state.ended.values()]
    told = (run.id, label.title, made, short(config.model.id), short(config.data.id), *label.tags)
    return Entry(
        run=run,
        title=label.title or made,
        made=made if label.title else "",
        label=label,
        status=status,
        words=words,
        tone=tone,
        when=when(run.id),
        outcome=outcome[0] if outcome else "none",
        verdict=glance.state.verdict or "",
        seconds=sum(ended) if ended else None,
        pushed=_pushed(run),
        fraction=fraction,
        text=" ".join(told).casefold(),
    )


def _outcome(run: Run) -> tuple[Outcome, str, Tone] | None:
    """What a run's comparison came to, in a sentence; None where there is none that can be read."""
    if not run.results.exists():
        return None
    from evals.plain import headline
    from evals.results import read_results

    try:
        found = read_results(run.results)
    except LogError:
        return "none", "Its results cannot be read.", "bad"
    words, tone = headline(found)
    relied = not any(one.tone == "bad" and not one.kind.startswith("judge") for one in found.findings)
    kinds: dict[Tone, Outcome] = {"good": "better", "warn": "mixed", "bad": "worse"}
    return (kinds.get(tone, "untold") if relied else "untold"), words, tone
