"""Which test samples the training rows repeat: whole, in a passage, or nearly. Knows texts and tasks, no models.

Three ways, from the surest: the whole question stands in a row (`exact`); thirteen words of it, or of what is
expected, stand there in one piece (`ngram`, Brown et al. 2020, appendix C); most of its runs of three words do
(`near`). What many rows or samples hold is a template, and says nothing of any of them.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from evals.grams import Flat, grams, hash_words, words
from evals.passages import Passages, blocks, hits, quick
from evals.tasks import Task, TaskSample

GRAM = 13
"""Words in a row that count as the same passage."""
COMMON = 20
"""A passage that more different rows, or more samples, hold is a template. So is a question of fewer words than that,
unless its answer stands there too."""
SHINGLE, LEAST_SHINGLES, SIMILAR, FEW = 3, 8, 0.6, 5
"""A question with so many runs of three words is nearly repeated by a row that holds this share of them; those that
more than `FEW` rows or samples hold don't count."""
SHORT = 4
"""A question of fewer words counts only together with its answer."""

How = Literal["exact", "ngram", "near"]
Part = Literal["question", "answer", "question and answer"]


@dataclass(frozen=True)
class Texts:
    """What a sample says."""

    question: str
    """The turn to answer."""
    answers: tuple[str, ...] = ()
    """What is expected; any of them."""
    before: str = ""
    """The turns before, where there are any."""


@dataclass(frozen=True)
class Overlap:
    """One sample that the training rows repeat."""

    sample: int
    """Its place."""
    how: How
    """The surest way in which it is repeated."""
    part: Part
    """What of it stands in the row."""
    row: int
    """The place of one such row."""


def mark(tasks: Sequence[Task], trained_on: Sequence[str]) -> list[Task]:
    """Return the tasks with `overlap` set on the samples that training rows repeat; marks that are there stay.

    Args:
        tasks: whatever is asked; all of them are looked for in one pass over the rows.
        trained_on: one text a training row, its turns one behind the other.
    """
    samples = [sample for task in tasks for sample in task.samples]
    repeated = {one.sample for one in overlaps([texts_of(sample) for sample in samples], trained_on)}
    marked = iter(
        sample.model_copy(update={"overlap": True}) if place in repeated else sample
        for place, sample in enumerate(samples)
    )
    return [task.model_copy(update={"samples": tuple(next(marked) for _ in task.samples)}) for task in tasks]


def texts_of(sample: TaskSample) -> Texts:
    """What a task's sample says: its last turn is the question, unless that is too short to be one by itself.

    Of a LightEval task it is the question alone, without the solved examples before it.
    """
    if sample.document is not None:
        return Texts(sample.question, sample.answers)
    turns = [turn.content for turn in sample.messages if turn.role != "system"]
    if len(words(turns[-1])) < SHORT:
        return Texts("\n".join(turns), sample.answers)
    return Texts(turns[-1], sample.answers, "\n".join(turns[:-1]))


def overlaps(samples: Sequence[Texts], trained_on: Sequence[str]) -> list[Overlap]:
    """Return the samples that training rows repeat, in order, each with the surest way and one row.

    Args:
        samples: what is asked.
        trained_on: one text a row.
    """
    rows = list(dict.fromkeys(trained_on))
    if not rows or not samples:
        return []
    whole, passages, shingles = _Whole(samples), _passages(samples), _shingles(samples)
    for start, spoken in blocks(rows):
        flat = hash_words(spoken)
        whole.look(flat, spoken, start)
        passages.look(flat, start)
        shingles.look(flat, start)
    found = _near(shingles, samples, rows) | _copied(passages, samples, rows) | whole.found()
    places = {text: place for place, text in reversed(list(enumerate(trained_on)))}
    return [Overlap(sample, how, part, places[rows[row]]) for sample, (how, part, row) in sorted(found.items())]


_Findings = dict[int, tuple[How, Part, int]]


def _passages(samples: Sequence[Texts]) -> Passages:
    """Owner 2i is what sample i asks, and 2i + 1 what it expects."""
    texts: list[list[str]] = []
    owners: list[int] = []
    for place, sample in enumerate(samples):
        for owner, text in ((0, sample.before), (0, sample.question), *((1, answer) for answer in sample.answers)):
            texts.append(words(text))
            owners.append(2 * place + owner)
    return Passages(GRAM, COMMON, texts, owners)


def _shingles(samples: Sequence[Texts]) -> Passages:
    return Passages(SHINGLE, FEW, [words(sample.question) for sample in samples], range(len(samples)))


def _copied(runs: Passages, samples: Sequence[Texts], rows: Sequence[str]) -> _Findings:
    pairs, _ = runs.owners_and_rows(runs.telling(np.arange(2 * len(samples)) // 2))
    asked: defaultdict[int, list[int]] = defaultdict(list)
    expected: defaultdict[int, list[int]] = defaultdict(list)
    for owner, row in pairs.tolist():
        (expected if owner % 2 else asked)[owner // 2].append(row)
    found: _Findings = {place: ("ngram", "answer", held[0]) for place, held in expected.items()}
    for place, held in asked.items():
        found[place] = ("ngram", *_with_answer(samples[place], rows, held, expected[place]))
    return found


def _near(runs: Passages, samples: Sequence[Texts], rows: Sequence[str]) -> _Findings:
    telling = runs.telling(np.arange(len(samples)))
    pairs, shared = runs.owners_and_rows(telling)
    own = np.bincount(runs.owned[telling[runs.owned[:, 0]], 1], minlength=len(samples))
    alike = (own[pairs[:, 0]] >= LEAST_SHINGLES) & (shared >= SIMILAR * own[pairs[:, 0]])
    held: defaultdict[int, list[int]] = defaultdict(list)
    for place, row in pairs[alike].tolist():
        held[place].append(row)
    return {place: ("near", *_with_answer(samples[place], rows, found)) for place, found in held.items()}


def _with_answer(
    sample: Texts, rows: Sequence[str], held: Sequence[int], expected: Sequence[int] = ()
) -> tuple[Part, int]:
    """Whether one of the rows that hold the question holds the answer too, and which one is to be shown."""
    for row in held[:COMMON]:
        if row in expected or any(one in _line(words(rows[row])) for one in _lines(sample.answers)):
            return "question and answer", row
    return "question", held[0]


@dataclass
class _Asked:
    """A question, whoever asks it."""

    line: str
    samples: list[int]
    rows: list[int]
    """Some rows that hold it."""
    answered: dict[int, int]
    """Sample to a row that also holds what it expects."""


class _Whole:
    """Questions that stand in a row from their first word to their last."""

    def __init__(self, samples: Sequence[Texts]) -> None:
        spoken = [words(sample.question) for sample in samples]
        asked: dict[tuple[str, ...], _Asked] = {}
        for place, one in enumerate(spoken):
            if one:
                asked.setdefault(tuple(one), _Asked(_line(one), [], [], {})).samples.append(place)
        self._asked = asked
        self._expected = [_lines(sample.answers) for sample in samples]
        self._anchors: dict[int, dict[int, list[_Asked]]] = defaultdict(lambda: defaultdict(list))
        """By the length of a run and its hash: the questions that are looked at where a row holds it."""
        for size in {min(len(question), GRAM) for question in asked}:
            of_size = [question for question in asked if min(len(question), GRAM) == size]
            runs = grams(hash_words(of_size), size)
            value, held = np.unique(runs.values, return_counts=True)
            many = held[np.searchsorted(value, runs.values)]
            for place, question in enumerate(of_size):
                own = slice(int(runs.offsets[place]), int(runs.offsets[place + 1]))
                rarest = int(runs.values[own][int(np.argmin(many[own]))])
                self._anchors[size][rarest].append(asked[question])
        self._known = {size: np.array(sorted(of), dtype=np.uint64) for size, of in self._anchors.items()}
        self._likely = {size: quick(known) for size, known in self._known.items()}

    def look(self, flat: Flat, spoken: list[list[str]], start: int) -> None:
        """Look for all questions in some rows; `start` is the first row's place."""
        lines: dict[int, str] = {}
        for size, known in self._known.items():
            for place, row in hits(grams(flat, size), known, self._likely[size]).tolist():
                for one in self._anchors[size][int(known[place])]:
                    if len(one.rows) <= COMMON or len(one.answered) < len(one.samples):
                        if row not in lines:
                            lines[row] = _line(spoken[row])
                        self._compare(one, lines[row], start + row)

    def _compare(self, one: _Asked, line: str, row: int) -> None:
        at = line.find(one.line)
        if at < 0:
            return
        if len(one.rows) <= COMMON:
            one.rows.append(row)
        behind = line[at + len(one.line) - 1 :]
        for sample in one.samples:
            if sample not in one.answered and any(expected in behind for expected in self._expected[sample]):
                one.answered[sample] = row

    def found(self) -> _Findings:
        """A question that is short, held by many rows, or asked for several answers counts only with its answer."""
        found: _Findings = {}
        for question, one in self._asked.items():
            several = len({tuple(self._expected[sample]) for sample in one.samples}) > 1
            few = len(one.rows) <= COMMON or len(question) >= GRAM
            alone = len(question) >= SHORT and few and not several
            for sample in one.samples:
                if sample in one.answered:
                    found[sample] = ("exact", "question and answer", one.answered[sample])
                elif alone and one.rows:
                    found[sample] = ("exact", "question", one.rows[0])
        return found


def _line(spoken: Sequence[str]) -> str:
    return f" {' '.join(spoken)} "


def _lines(answers: Sequence[str]) -> list[str]:
    return [_line(spoken) for answer in answers if (spoken := words(answer))]
