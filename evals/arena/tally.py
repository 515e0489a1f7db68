"""What votes say: who is preferred, how strong each side is, and how far a judge agrees with people.

A judge is measured by people: how often it agrees with them, beyond what chance gives. Knows votes and judgements.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from pydantic import BaseModel

from evals.arena.votes import TIE, Key, Vote, answers_now, ordered, read_votes, standing
from evals.judge.records import Judgement, read_judgements
from evals.results import Finding, Results
from evals.shown import worst_first
from evals.stats import bradley_terry, kappa, win_rate

ENOUGH = 30
"""Samples on which people and a judge both have a verdict, before the judge can be called proven ..."""
LEAST_KAPPA = 0.2
"""... and what the lower end of kappa's interval must be above: more than slight agreement (Landis and Koch 1977)."""


class Rate(BaseModel):
    """How often people preferred one side to another."""

    side: str
    """The side whose wins are counted."""
    against: str
    """The other one."""
    wins: int
    """Samples on which most votes were for it."""
    losses: int
    """Samples on which most were for the other."""
    ties: int
    """The others."""
    rate: float
    """Wins and half of the ties, as a share."""
    low: float
    """Lower end of its 95 % interval."""
    high: float
    """Upper end of it."""


class Player(BaseModel):
    """A side's strength among all that were voted on (Bradley and Terry, Biometrika 39 (1952) 324-345)."""

    side: str
    """The side."""
    strength: float
    """The logarithm of its odds to be preferred to an average one; all add up to 0."""
    low: float
    """Lower end of its 95 % interval."""
    high: float
    """Upper end of it."""


class Difference(BaseModel):
    """A sample of which people and a judge think differently."""

    task: str
    """The task's name."""
    id: str
    """The sample's id."""
    people: str
    """The side that people preferred, or tie."""
    judge: str
    """The side that the judge preferred, or tie."""


class Calibration(BaseModel):
    """How far a judge agrees with people."""

    judge: str
    """The judge's name."""
    n: int
    """Samples with a verdict of both."""
    agreement: float
    """Share of them on which they agree."""
    kappa: float
    """Cohen's kappa: 0 is what chance gives, 1 is always."""
    low: float
    """Lower end of its 95 % interval."""
    high: float
    """Upper end of it."""
    proven: bool
    """Whether there are enough votes, and they agree clearly beyond chance."""
    differences: list[Difference] = []
    """Where they differ."""


class Tally(BaseModel):
    """All that the votes in a folder say."""

    votes: int
    """How many opinions there are of what the sides answer now, one of each voter; others count for nothing."""
    rates: list[Rate]
    """For each two sides that were voted on."""
    bad: int = 0
    """How many of the opinions are that both answers are bad: ties, as neither is better."""
    players: list[Player] = []
    """Strengths, where there are more than two sides."""
    judges: list[Calibration] = []
    """How far each judge agrees with them."""


def tally(folder: Path) -> Tally:
    """Count a folder's votes, and hold its judges' verdicts against them.

    Votes and verdicts on answers that the logs no longer hold count for nothing. Raises LogError for damaged files.
    """
    votes, judgements = standing(read_votes(folder)), _judgements(folder)
    now = answers_now(folder, [*(one.key for one in votes), *judgements])
    votes = [one for one in votes if now.get(one.key) == one.answers]
    people = _people(votes)
    rates: list[Rate] = []
    for one, other in sorted({sides for _, _, sides in people}):
        counted = Counter(winner for (_, _, sides), winner in people.items() if sides == (one, other))
        side, against = (other, one) if one == "base" else (one, other)
        wins, losses, ties = counted[side], counted[against], counted[TIE]
        rate, low, high = win_rate(wins, losses, ties)
        rates.append(
            Rate(side=side, against=against, wins=wins, losses=losses, ties=ties, rate=rate, low=low, high=high)
        )
    return Tally(
        votes=len(votes),
        rates=rates,
        bad=sum(one.choice == "bad" for one in votes),
        players=_players(rates),
        judges=_calibrated(_judged(judgements, now), people),
    )


def unproven(folder: Path, judges: Iterable[str]) -> tuple[Finding, ...]:
    """A finding for each judge whose verdicts people have not confirmed. Raises LogError for damaged files."""
    known = {one.judge: one for one in tally(folder).judges}
    found: list[Finding] = []
    for judge in judges:
        one = known.get(judge)
        if one is not None and one.proven:
            continue
        seen = (
            f"{one.n} blind votes so far, {100 * one.agreement:.0f} % agree (kappa {one.kappa:.2f}, 95 % CI "
            f"{one.low:.2f} to {one.high:.2f})"
            if one is not None and one.n
            else "no blind votes yet"
        )
        message = (
            f"the judge {judge} is unproven: {seen}. Vote with `python -m evals vote DIR`: it takes {ENOUGH} samples "
            "at least, and agreement clearly beyond chance"
        )
        found.append(Finding(kind="judge unproven", tone="warning", message=message))
    return tuple(found)


def with_proof(folder: Path, results: Results) -> Results:
    """Return a comparison with what the folder's votes say of its judges. Raises LogError for damaged files."""
    others = [one for one in results.findings if one.kind != "judge unproven"]
    judges = dict.fromkeys(one.judge for one in results.judges if one.kind == "pairwise")
    return results.model_copy(update={"findings": worst_first([*others, *unproven(folder, judges)])})


def _people(votes: Sequence[Vote]) -> dict[Key, str]:
    """What most people said of each sample and two sides."""
    said: dict[Key, list[str]] = {}
    for vote in votes:
        said.setdefault(vote.key, []).append(vote.winner)
    return {key: _most(winners) for key, winners in said.items()}


def _most(winners: Sequence[str]) -> str:
    (winner, times), *others = Counter(winners).most_common()
    return TIE if others and others[0][1] == times else winner


def _players(rates: Sequence[Rate]) -> list[Player]:
    sides = list(dict.fromkeys(side for rate in rates for side in (rate.against, rate.side)))
    if len(sides) < 3:
        return []
    wins = [[0.0] * len(sides) for _ in sides]
    for rate in rates:
        one, other = sides.index(rate.side), sides.index(rate.against)
        wins[one][other] += rate.wins + rate.ties / 2
        wins[other][one] += rate.losses + rate.ties / 2
    players = [
        Player(side=side, strength=found.strength, low=found.low, high=found.high)
        for side, found in zip(sides, bradley_terry(wins), strict=True)
    ]
    return sorted(players, key=lambda one: -one.strength)


def _calibrated(judged: dict[str, dict[Key, str]], people: dict[Key, str]) -> list[Calibration]:
    found: list[Calibration] = []
    for judge, said in sorted(judged.items()):
        both = [key for key in people if key in said]
        agreed = kappa([people[key] for key in both], [said[key] for key in both])
        found.append(
            Calibration(
                judge=judge,
                n=agreed.n,
                agreement=agreed.agreement,
                kappa=agreed.kappa,
                low=agreed.low,
                high=agreed.high,
                proven=agreed.n >= ENOUGH and agreed.low > LEAST_KAPPA,
                differences=[
                    Difference(task=key[0], id=key[1], people=people[key], judge=said[key])
                    for key in both
                    if people[key] != said[key]
                ],
            )
        )
    return found


def _judgements(folder: Path) -> dict[Key, list[Judgement]]:
    """Each time a judge compared two answers that are not the same."""
    found: dict[Key, list[Judgement]] = {}
    for one in read_judgements(folder):
        if one.against is not None and not one.same:
            found.setdefault((one.task, one.id, ordered(one.side, one.against)), []).append(one)
    return found


def _judged(judgements: dict[Key, list[Judgement]], now: dict[Key, str]) -> dict[str, dict[Key, str]]:
    """What each judge said of the answers there are now: the side it preferred in both orders, else a tie."""
    said: dict[str, dict[Key, list[str | None]]] = {}
    for key, asked in judgements.items():
        for one in asked:
            if now.get(key) == one.answers:
                said.setdefault(one.judge, {}).setdefault(key, []).append(one.verdict)
    return {
        judge: {key: _agreed(verdicts) for key, verdicts in keys.items() if len(verdicts) > 1 and None not in verdicts}
        for judge, keys in said.items()
    }


def _agreed(verdicts: Sequence[str | None]) -> str:
    (first, *others) = verdicts
    return first if first is not None and all(one == first for one in others) else TIE
