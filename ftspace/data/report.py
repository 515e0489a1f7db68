"""What was found in a dataset, counted row by row, and what a person should do about it. Knows no files or models.

Tallies of parts of a dataset may be made in several processes and merged in any order: the report is the same. Their
size does not grow with the rows.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence

from pydantic import BaseModel, ConfigDict

from ftspace.data.messages import Conversation
from ftspace.data.quality import WORDS, Flag, redact_personal
from ftspace.data.secrets import excerpt as cut
from ftspace.sections import FINDINGS, Finding

EXAMPLES = 5
"""Examples kept of each finding: those of the lowest rows."""
CLASSES = 100
"""Different answers up to which they may be labels."""
FEW = 20
"""Labels up to which a rare one is worth a warning; of more some are always rare."""
LABEL = 80
"""Longest label, in characters."""
LABEL_ROWS = 3
"""Rows that an answer must have on average to be a label."""


class FoundExample(BaseModel):
    """One row in which something was found."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    row: int
    """The row's number, as the tally was told."""
    excerpt: str
    """The place, secrets and personal data redacted."""


class Found(BaseModel):
    """One finding: how often, and where for example."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    finding: Finding
    """Its name, as `data.filters` takes it."""
    words: str
    """What it is, for people."""
    rows: int
    """Rows in which it was found."""
    share: float
    """Those rows as a share of all, between 0 and 1."""
    removed: bool
    """Whether these rows are left out."""
    examples: list[FoundExample]
    """The first rows in which it was found, at most five."""


class DataReport(BaseModel):
    """What a look at all rows of a dataset found."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    rows: int
    """Rows looked at, those left out included."""
    found: list[Found]
    """What was found, the most frequent first; nothing that was not."""
    languages: dict[str, int]
    """Rows by the language of their answers (ISO 639-1), the commonest first; rows too short to tell are in none."""
    answers: dict[str, int]
    """Rows by their last answer, the commonest first, where the answers are few labels; else empty."""
    warnings: list[str]
    """What a person should know before training, each with what to do."""


class Tally:
    """Counts what is found while rows pass by. Can be pickled, and merged with those of other rows."""

    def __init__(self) -> None:
        self._rows = 0
        self._found: Counter[Finding] = Counter()
        self._examples: dict[Finding, list[tuple[int, str]]] = {}
        self._languages: Counter[str] = Counter()
        self._answers: Counter[str] = Counter()
        self._many_answers = False
        self._long_answers = 0

    def add(self, row: int, conversation: Conversation, flags: Sequence[Flag], language: str) -> None:
        """Counts a row with what `look` and `language` said of it."""
        self._rows += 1
        for flag in flags:
            self.mark(row, flag.finding, flag.excerpt)
        if language:
            self._languages[language] += 1
        if conversation and not self._many_answers:
            last = conversation[-1]
            answer = last["content"]
            if len(answer) > LABEL or "tool_calls" in last:
                self._long_answers += 1
            else:
                self._answers[answer.strip()] += 1
                self._bound_answers()

    def mark(self, row: int, finding: Finding, excerpt: str) -> None:
        """Counts a finding in a row that was added, such as one that only the other rows show. Once for each row."""
        self._found[finding] += 1
        kept = self._examples.get(finding, [])
        if len(kept) < EXAMPLES or row <= kept[-1][0]:
            self._keep(finding, [(row, cut(excerpt, 0, 0))])

    def merge(self, other: "Tally") -> None:
        """Adds what another tally counted."""
        self._rows += other._rows
        self._found += other._found
        for finding, examples in other._examples.items():
            self._keep(finding, examples)
        self._languages += other._languages
        self._answers += other._answers
        self._long_answers += other._long_answers
        self._many_answers |= other._many_answers
        self._bound_answers()

    def report(self, removed: Collection[Finding]) -> DataReport:
        """The report; `removed` are the findings whose rows are left out."""
        found = [
            Found(
                finding=finding,
                words=WORDS[finding],
                rows=self._found[finding],
                share=_share(self._found[finding], self._rows),
                removed=finding in removed,
                examples=[FoundExample(row=row, excerpt=excerpt) for row, excerpt in self._examples[finding]],
            )
            for finding in sorted(FINDINGS, key=lambda one: (-self._found[one], FINDINGS.index(one)))
            if self._found[finding]
        ]
        languages, answers = _commonest(self._languages), self._labels()
        left: dict[Finding, Found] = {one.finding: one for one in found if not one.removed}
        warnings = [*_balance(answers), *_warnings(left, bool(answers)), *_tongues(languages, removed)]
        return DataReport(rows=self._rows, found=found, languages=languages, answers=answers, warnings=warnings)

    def _keep(self, finding: Finding, examples: list[tuple[int, str]]) -> None:
        self._examples[finding] = sorted([*self._examples.get(finding, []), *examples])[:EXAMPLES]

    def _bound_answers(self) -> None:
        """Forgets the answers once they are too many to be labels: they stay too many, whatever is merged."""
        if self._many_answers or len(self._answers) > CLASSES:
            self._many_answers = True
            self._answers.clear()
            self._long_answers = 0

    def _labels(self) -> dict[str, int]:
        counted = self._answers.total()
        if counted < LABEL_ROWS * len(self._answers) or self._long_answers * 20 > counted:
            return {}
        labels: Counter[str] = Counter()
        for answer, count in self._answers.items():
            labels[redact_personal(answer).encode("utf-8", "replace").decode()] += count
        return _commonest(labels)


def _commonest(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda one: (-one[1], one[0])))


def _share(part: int, whole: int) -> float:
    return min(1.0, part / whole) if whole else 0.0


def _balance(answers: dict[str, int]) -> Iterator[str]:
    """A warning where one answer is far commoner than the others, or than the rarest."""
    if len(answers) < 2:
        if answers:
            yield (
                f"all answers are `{next(iter(answers))}`: the tuned model learns to say only that; "
                "give rows with other answers, or look whether the right column was read as the answer"
            )
        return
    (most, count), (least, rare) = next(iter(answers.items())), list(answers.items())[-1]
    share = count / sum(answers.values())
    if share > 0.8:
        yield (
            f"{_percent(share)} of the answers are `{most}`: the tuned model may learn to say only that; "
            "give more rows with other answers, or fewer with this one"
        )
    elif count > 10 * rare and len(answers) <= FEW:
        yield (
            f"the answer `{most}` is {count // rare} times as common as `{least}` ({count:,} rows to {rare:,}): "
            "the tuned model may never say the rare one; give more rows with it"
        )


_REPEATED: tuple[Finding, Finding] = ("duplicate", "near_duplicate")
_ADVICE: dict[Finding, tuple[float, str, str]] = {
    "secret": (0, "what looks like an API key or a password", "{they} will be learnt"),
    "personal": (0, "what looks like personal data (e-mail, phone, account numbers)", "{they} will be learnt"),
    "overlap": (0, "the question of a test row, or thirteen words in a row of one", "its score may be remembered"),
    "refusal": (0.01, "a refusal, or the words of an AI language model", "the tuned model will refuse more"),
    "encoding": (0.005, "broken characters", "the tuned model will write them too"),
    "echo": (0.01, "an answer that only repeats the question", "the tuned model may learn to parrot"),
    "markup": (0.05, "remains of HTML or of a chat template", "the tuned model will write them too"),
    "long_row": (0.01, "more than 32,000 characters", "what is over train.max_length tokens is not learnt"),
}
"""From which share of the rows a finding is worth a warning; what the rows hold; what comes of it."""


def _warnings(left: dict[Finding, Found], labels: bool) -> Iterator[str]:
    for finding, (share, held, comes) in _ADVICE.items():
        if (one := left.get(finding)) and one.share >= share:
            rows, they = ("1 row holds", "it") if one.rows == 1 else (f"{_rows(one)} hold", "they")
            yield f"{rows} {held}; {comes.format(they=they)}: add {finding} to data.filters, or mend the rows"
    repeated = [left[finding] for finding in _REPEATED if finding in left]
    share = min(1.0, sum(one.share for one in repeated))
    if share >= 0.05:
        named = " and ".join(one.finding for one in repeated)
        yield (
            f"{_percent(share)} of the rows repeat others; what they say counts more than the rest: "
            f"add {named} to data.filters"
        )
    short = left.get("short_answer")
    if short and not labels and 0.1 <= short.share <= 0.5:
        yield (
            f"{_percent(short.share)} of the answers are one word or none; the tuned model may answer curtly: "
            "add short_answer to data.filters, unless such answers are wanted"
        )


def _tongues(languages: dict[str, int], removed: Collection[Finding]) -> Iterator[str]:
    counted = sum(languages.values())
    shown = {code: count / counted for code, count in languages.items() if count >= max(3, 0.02 * counted)}
    if len(shown) > 1 and "other_language" not in removed:
        listed = ", ".join(f"{_percent(share)} {code}" for code, share in shown.items())
        yield (
            f"the answers are in more than one language ({listed}): the tuned model may mix them; "
            "add other_language to data.filters, unless that is wanted"
        )


def _rows(one: Found) -> str:
    return f"{one.rows:,} rows" + (f" ({_percent(one.share)})" if one.share >= 0.01 else "")


def _percent(share: float) -> str:
    if share < 0.01:
        return "under 1 %"
    return "over 99 %" if 0.99 < share < 1 else f"{share * 100:.0f} %"
