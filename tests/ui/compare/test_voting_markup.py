from evals.arena.tally import Calibration, Rate, Tally
from ftspace.ui.compare.voting_markup import ballot, outcome
from ftspace.voting import Turn


def rate(wins: int, losses: int, ties: int, low: float, high: float) -> Rate:
    share = (wins + ties / 2) / (wins + losses + ties)
    return Rate(side="tuned", against="base", wins=wins, losses=losses, ties=ties, rate=share, low=low, high=high)


def judge(n: int, *, proven: bool) -> Calibration:
    return Calibration(judge="m <at> h", n=n, agreement=0.82, kappa=0.6, low=0.4, high=0.8, proven=proven)


def test_the_end_says_what_all_votes_came_to() -> None:
    found = Tally(votes=40, rates=[rate(25, 10, 5, 0.54, 0.83)], judges=[judge(40, proven=True)])
    assert outcome(found) == [
        "The tuned model is preferred. Of 40 questions people preferred the tuned model on 25 and the base on 10, and "
        "found 5 equal or both bad: it wins 69 of 100, between 54 and 83, ties counted as halves.",
        "The judge m <at> h said the same on 82 of 100 of 40, so it can be believed.",
    ]
    shown = ballot(Turn(None, 40, 40, None), found)
    assert "All 40 are voted on" in shown and "m &lt;at&gt; h" in shown


def test_what_is_not_shown_is_not_said() -> None:
    few = Tally(votes=9, rates=[rate(9, 0, 0, 0.7, 1.0)], judges=[judge(9, proven=False)])
    first, second = outcome(few)
    assert first.startswith("Too few votes to tell: 9 of 30. Of 9 questions") and "(30 are needed)" in second
    assert "does not prove it yet" in second
    alike = Tally(votes=40, rates=[rate(20, 18, 2, 0.38, 0.66)])
    assert outcome(alike)[0].startswith("No preference shown.")
    worse = Tally(votes=40, rates=[rate(5, 33, 2, 0.06, 0.28)])
    assert outcome(worse)[0].startswith("The base is preferred.")
    assert "stands below" in ballot(Turn(None, 40, 40, None))
