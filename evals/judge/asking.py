"""From samples with their answers to what judges said of them: what is asked, in which order, and within which budget.

Knows logs, judges and the cache; knows nothing of what verdicts add up to. Samples are taken in the order of a hash,
and all judges are asked about one before the next: where the budget ends, what is missing was chosen by nobody.
"""

import hashlib
import json
import math
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from evals.endpoint import Failure, Limits, Meter, Question, Result, Text, about_tokens, ask
from evals.judge.cache import Cache, Kept
from evals.judge.judges import Judge, LocalJudge, RemoteJudge, Way
from evals.judge.prompts import Material, reply_schema, to_choose, to_compare, to_rate, version
from evals.judge.records import Judgement
from evals.judge.rubric import Rubric
from evals.judge.verdicts import read_choice, read_rating
from evals.log import Sample
from evals.samples import answers_hash

REPLY_TOKENS = 512
"""The longest reply of a judge that writes."""
TYPICAL_REPLY = 120
"""What it is estimated at before it is known."""
_SHOWN = 500
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Entry:
    """One sample and the answers of the sides that are judged."""

    task: str
    id: str
    question: str
    reference: str
    asked: Mapping[str, Sample]
    """Side to what it was asked and answered."""
    group: str | None = None
    overlap: bool = False

    @property
    def answers(self) -> dict[str, str | None]:
        """Side to answer; None where there is none."""
        return {
            side: None if one.unscored is not None and not one.output else one.output
            for side, one in self.asked.items()
        }


@dataclass(frozen=True)
class Slot:
    """A judgement to be, and what it takes: the material to show, or why nothing is asked."""

    blank: Judgement
    judge: Judge
    material: Material | None = None
    key: str = ""


@dataclass(frozen=True)
class Estimate:
    """What judging takes, told before."""

    judgements: int
    """Verdicts and ratings wanted."""
    known: int
    """Of these, already in the cache, or of two answers that are the same."""
    calls: int
    """Calls to endpoints that are left, each question once."""
    local: int
    """Forward passes of local judges that are left."""
    tokens: int
    """About how many tokens the calls take."""
    cost: float | None
    """What they cost, where there is a price."""
    beyond: int
    """Calls that the budget does not allow."""


@dataclass
class Work:
    """All judgements of a folder, planned."""

    slots: list[Slot]
    rubric: Rubric
    known: dict[str, Kept] = field(default_factory=dict[str, Kept])

    def left(self) -> dict[str, Slot]:
        """What has to be asked: each key once, in order."""
        found: dict[str, Slot] = {}
        for one in self.slots:
            if one.key and one.key not in self.known:
                found.setdefault(one.key, one)
        return found

    def estimate(self, meter: Meter) -> Estimate:
        """What is left, and what it may cost."""
        asked = list(self.left().values())
        lengths = [
            about_tokens(_words(one, self.rubric)) + TYPICAL_REPLY
            for one in asked
            if isinstance(one.judge, RemoteJudge)
        ]
        most = len(lengths) if meter.limit is None else min(meter.limit, len(lengths))
        tokens = sum(lengths[:most])
        wanted = sum(one.blank.missing is None for one in self.slots)
        known = sum(one.blank.same or one.key in self.known for one in self.slots)
        cost, calls = meter.cost_of(tokens), len(lengths)
        return Estimate(wanted, known, calls, len(asked) - calls, tokens, cost, calls - most)


def plan(
    entries: Sequence[Entry],
    judges: Sequence[Judge],
    sides: Sequence[str],
    against: str,
    ways: Sequence[Way],
    rubric: Rubric,
    cache: Cache,
) -> Work:
    """What to ask of whom, and what of it is known. Local judges are asked to compare only."""
    identities = {judge.name: judge.identity for judge in judges}
    slots: list[Slot] = []
    for entry in sorted(entries, key=lambda one: hashlib.sha256(f"{one.task}:{one.id}".encode()).hexdigest()):
        for judge in judges:
            if "pairwise" in ways:
                for side in sides:
                    slots += _to_compare(entry, judge, side, against)
            if "rubric" in ways and isinstance(judge, RemoteJudge):
                slots += [_to_rate(entry, judge, side) for side in (against, *sides)]
    asked_as = version(rubric)
    ready: list[Slot] = []
    for slot in slots:
        shown = slot.material
        key = "" if shown is None else _key(identities[slot.judge.name], asked_as, shown)
        ready.append(replace(slot, key=key, blank=slot.blank.model_copy(update={"prompt_version": asked_as})))
    known = cache.get(list({slot.key for slot in ready if slot.key}))
    return Work(ready, rubric, known)


def carry_out(
    work: Work,
    cache: Cache,
    meter: Meter,
    limits: Limits,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> tuple[Judgement, ...]:
    """Ask what is left, keeping each reply as it comes, and read all replies. Raises Stopped."""
    left = work.left()
    of_judge: dict[str, list[Slot]] = {}
    for slot in left.values():
        of_judge.setdefault(slot.judge.name, []).append(slot)
    done = dict.fromkeys(of_judge, 0)
    results: dict[str, Result] = {}

    def came(slot: Slot, result: Result) -> None:
        results[slot.key] = result
        if isinstance(result, Text):
            cache.put(slot.key, Kept(result.text, result.finish, result.tokens))
        name = slot.judge.name
        done[name] += 1
        if progress is not None:
            progress(name, done[name], len(of_judge[name]))

    for slot, result in _results(list(left.values()), work.rubric, meter, limits, should_stop):
        came(slot, result)
    counted: set[str] = set()
    judgements: list[Judgement] = []
    for slot in work.slots:
        kept, result = work.known.get(slot.key), results.get(slot.key)
        fresh = result is not None and slot.key not in counted
        counted.add(slot.key)
        judgements.append(_judged(slot, kept, result, fresh))
    return tuple(judgements)


def _results(
    slots: Sequence[Slot],
    rubric: Rubric,
    meter: Meter,
    limits: Limits,
    should_stop: Callable[[], bool] | None,
) -> Generator[tuple[Slot, Result]]:
    remote: list[Slot] = []
    jobs: list[tuple[RemoteJudge, Question]] = []
    for slot in slots:
        if isinstance(slot.judge, RemoteJudge) and slot.material is not None:
            turn = {"role": "user", "content": _words(slot, rubric)}
            remote.append(slot)
            jobs.append((slot.judge, Question([turn], REPLY_TOKENS, reply_schema(slot.material))))
    # Endpoints are of different speed: what is beyond the budget is left out here, so that none has another's share.
    most = len(jobs) if meter.limit is None else max(0, meter.limit - meter.calls)
    yield from ((slot, Failure("the budget is spent")) for slot in remote[most:])
    asked = [(judge.target, question) for judge, question in jobs[:most]]
    for place, result in ask(asked, meter=meter, limits=limits, should_stop=should_stop):
        yield remote[place], result
    for judge in dict.fromkeys(slot.judge for slot in slots):
        if isinstance(judge, LocalJudge):
            own = [slot for slot in slots if slot.judge == judge]
            for place, result in judge.load().choose([_words(slot, rubric) for slot in own], should_stop):
                yield own[place], result


def _to_compare(entry: Entry, judge: Judge, side: str, against: str) -> list[Slot]:
    said = entry.answers
    one, other = said.get(side), said.get(against)
    found: list[Slot] = []
    whole = one is not None and other is not None
    answers = answers_hash({name: entry.asked[name] for name in (side, against)}) if whole else ""
    for first in (side, against):
        blank = Judgement(
            task=entry.task,
            id=entry.id,
            judge=judge.name,
            way="pairwise",
            side=side,
            against=against,
            first=first,
            answers=answers,
        )
        if one is None or other is None:
            found.append(Slot(blank.model_copy(update={"missing": "a side has no answer"}), judge))
        elif one.strip() == other.strip():
            found.append(Slot(blank.model_copy(update={"same": True, "verdict": "tie", "score": 0.5}), judge))
        else:
            shown = (one, other) if first == side else (other, one)
            found.append(Slot(blank, judge, Material(entry.question, entry.reference, shown)))
    return found


def _to_rate(entry: Entry, judge: Judge, side: str) -> Slot:
    answer = entry.answers.get(side)
    blank = Judgement(task=entry.task, id=entry.id, judge=judge.name, way="rubric", side=side)
    if answer is None:
        return Slot(blank.model_copy(update={"missing": "the side has no answer"}), judge)
    return Slot(blank, judge, Material(entry.question, entry.reference, (answer,)))


def _key(judge: str, asked_as: str, shown: Material) -> str:
    content = [judge, asked_as, REPLY_TOKENS, shown.question, shown.reference, shown.answers]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]


def _words(slot: Slot, rubric: Rubric) -> str:
    shown = slot.material
    assert shown is not None
    if isinstance(slot.judge, LocalJudge):
        return to_choose(rubric, shown)
    return to_compare(rubric, shown) if slot.blank.way == "pairwise" else to_rate(rubric, shown)


def _judged(slot: Slot, kept: Kept | None, result: Result | None, fresh: bool) -> Judgement:
    if slot.material is None:
        return slot.blank
    calls = result.calls if result is not None and fresh else 0
    if isinstance(result, Failure):
        return slot.blank.model_copy(
            update={"missing": result.reason, "calls": calls, "tokens": result.spent if fresh else 0}
        )
    reply = kept or result
    assert reply is not None
    known = {
        "cached": kept is not None,
        "calls": calls if isinstance(slot.judge, RemoteJudge) else 0,
        "tokens": result.spent if isinstance(result, Text) and calls else reply.tokens,
        "reply": reply.text[-_SHOWN:],
        "reply_hash": hashlib.sha256(reply.text.encode("utf-8", "surrogatepass")).hexdigest()[:16],
    }
    verdict, score = _read(slot, slot.material, reply.text)
    if math.isnan(score):
        cut = "the reply was cut off before a verdict" if reply.finish == "length" else "the reply holds no verdict"
        return slot.blank.model_copy(update={**known, "missing": cut})
    return slot.blank.model_copy(update={**known, "verdict": verdict, "score": score})


def _read(slot: Slot, shown: Material, reply: str) -> tuple[str | None, float]:
    """The verdict as a side's name, and the score; NaN when the reply holds none."""
    blank = slot.blank
    if blank.way == "rubric":
        rating = read_rating(reply, shown)
        return None, math.nan if rating is None else float(rating)
    assert blank.first is not None and blank.against is not None
    second = blank.against if blank.first == blank.side else blank.side
    if isinstance(slot.judge, LocalJudge):
        likely: dict[str, float] = json.loads(reply)
        share = 0.5 * (1 + math.tanh((likely["A"] - likely["B"]) / 2))  # exactly a half when they are equal
        winner = "tie" if share == 0.5 else blank.first if share > 0.5 else second
        return winner, share if blank.first == blank.side else 1 - share
    choice = read_choice(reply, shown)
    if choice is None:
        return None, math.nan
    winner = {"A": blank.first, "B": second, "tie": "tie"}[choice]
    return winner, {blank.side: 1.0, blank.against: 0.0, "tie": 0.5}[winner]
