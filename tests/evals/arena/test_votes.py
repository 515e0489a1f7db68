from pathlib import Path

import pytest

from evals.arena.tally import tally, unproven, with_proof
from evals.arena.votes import TIE, Ballot, Vote, add_vote, ballots, read_votes
from evals.errors import LogError
from evals.judge.records import Judgement, write_judgements
from evals.log import EvalLog, EvalSpec, Sample, write_log
from evals.results import Asked, JudgeSummary, Results, write_asked

N = 60


def answers(folder: Path, side: str, texts: list[str], ask: str = "Who is") -> None:
    spec = EvalSpec(
        base="b", task="people", task_hash="h", kind="generation", n=len(texts), dtype="float32", device="cpu",
        tokenizer_hash="t", max_new_tokens=8, end_ids=(0,), batch_tokens=64, seed=0, versions={},
    )  # fmt: skip
    samples = tuple(
        Sample(id=str(n), prompt=f"{ask} {n}?", expected=("right",), output=text) for n, text in enumerate(texts)
    )
    log = EvalLog(spec=spec, which=side, started="2026", seconds=1, samples=samples)
    write_log(folder / "people" / f"{side}.json", log)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    answers(tmp_path, "base", ["wrong"] * N)
    answers(tmp_path, "tuned", ["right"] * (N - 1) + ["wrong"])
    answers(tmp_path, "reference", ["fair"] * N)
    return tmp_path


def prefer(ballot: Ballot, side: str) -> Vote:
    return ballot.vote("first" if ballot.first == side else "second")


def test_a_ballot_hides_whose_answer_is_whose_and_is_asked_once(folder: Path) -> None:
    left = ballots(folder)
    assert len(left) == N - 1  # the last one's answers are the same
    assert 15 < sum(ballot.first == "base" for ballot in left) < N - 15
    assert [ballot.id for ballot in left] != sorted((ballot.id for ballot in left), key=int)
    assert ballots(folder) == left
    add_vote(folder, prefer(left[0], "tuned"))
    assert ballots(folder) == left[1:]
    assert len(ballots(folder, voter="Ann")) == N - 1
    with pytest.raises(LogError, match="no task with written answers"):
        ballots(folder / "people")


def test_only_what_the_last_evaluation_asked_is_voted_on(folder: Path) -> None:
    write_asked(folder / "evaluation.json", Asked(sides={"people": ("base", "tuned")}))
    assert {side for one in ballots(folder, ("base", "tuned", "reference")) for side in (one.first, one.second)} == {
        "base",
        "tuned",
    }


def test_votes_survive_a_writer_that_was_cut_off(folder: Path) -> None:
    first, second, *_ = ballots(folder)
    add_vote(folder, prefer(first, "tuned"))
    with (folder / "votes.jsonl").open("a") as file:
        file.write('{"task": "people", "id": "1"')
    add_vote(folder, prefer(second, "base"))
    assert [(vote.id, vote.winner) for vote in read_votes(folder)] == [(first.id, "tuned"), (second.id, "base")]
    with (folder / "votes.jsonl").open("a") as file:
        file.write('{"choice": "both"}\n')
    with pytest.raises(LogError, match=r"votes\.jsonl:4: not a vote"):
        read_votes(folder)


def test_votes_give_rates_and_strengths(folder: Path) -> None:
    order = ["reference", "tuned", "base"]
    for ballot in ballots(folder, order):
        winner = min(ballot.first, ballot.second, key=order.index)
        add_vote(folder, prefer(ballot, winner))
    found = tally(folder)
    rate = next(one for one in found.rates if (one.side, one.against) == ("tuned", "base"))
    assert (rate.wins, rate.losses, rate.rate) == (N - 1, 0, 1.0)
    assert 0.9 < rate.low < 1
    assert [one.side for one in found.players] == order
    assert abs(sum(one.strength for one in found.players)) < 1e-9


def test_the_most_votes_decide_and_a_voter_may_think_again(folder: Path) -> None:
    ballot = ballots(folder)[0]
    for voter, side in (("Ann", "base"), ("Ben", "tuned")):
        add_vote(folder, prefer(ballot, side).model_copy(update={"voter": voter}))
    assert tally(folder).rates[0].ties == 1
    add_vote(folder, prefer(ballot, "tuned").model_copy(update={"voter": "Ann"}))
    assert (tally(folder).rates[0].wins, tally(folder).votes) == (1, 2)


def test_a_vote_can_be_taken_back_until_the_voter_knows_whose_answers_they_are(folder: Path) -> None:
    ballot, other, *_ = left = ballots(folder)
    vote = prefer(ballot, "base")
    for said in (vote, ballot.vote("withdrawn")):
        add_vote(folder, said)
    assert (ballots(folder), tally(folder).votes) == (left, 0)
    for said in (vote, vote.model_copy(update={"seen": True}), ballot.vote("withdrawn"), prefer(ballot, "tuned")):
        add_vote(folder, said)
    assert ballots(folder)[0] == other
    assert (tally(folder).votes, tally(folder).rates[0].losses) == (1, 1)


def judged(ballot: Ballot, verdicts: tuple[str | None, str | None], judge: str = "J") -> list[Judgement]:
    return [
        Judgement(
            task="people", id=ballot.id, judge=judge, way="pairwise", side="tuned", against="base", first=first,
            answers=ballot.answers, verdict=verdict,
        )
        for first, verdict in zip(("tuned", "base"), verdicts, strict=True)
    ]  # fmt: skip


def test_a_judge_is_proven_by_people_only(folder: Path) -> None:
    left = ballots(folder)
    said = [
        one for ballot in left for one in judged(ballot, ("tuned", "tuned") if int(ballot.id) % 3 else ("base", "base"))
    ]
    write_judgements(folder, tuple(said))
    assert "no blind votes yet" in unproven(folder, ["J"])[0].message
    for ballot in left[:40]:
        add_vote(folder, prefer(ballot, "tuned" if int(ballot.id) % 3 else "base"))
    (judge,) = tally(folder).judges
    assert (judge.n, judge.agreement, judge.proven, judge.differences) == (40, 1.0, True, [])
    assert unproven(folder, ["J"]) == ()
    summaries = tuple(JudgeSummary(judge=name, kind="pairwise", n=40, missing=0) for name in ("J", "K"))
    proved = with_proof(folder, Results(rows=(), verdict="", judges=summaries))
    assert [one.message.split(":")[0] for one in proved.findings] == ["the judge K is unproven"]
    assert with_proof(folder, proved) == proved

    against = [one for ballot in left for one in judged(ballot, ("tuned", "base"))]  # whoever stands first
    missing = judged(left[0], (None, "tuned"), judge="K")
    write_judgements(folder, (*against, *missing))
    judge = tally(folder).judges[0]
    assert (judge.n, judge.agreement, judge.proven) == (40, 0.0, False)
    assert {one.judge for one in judge.differences} == {TIE}
    assert [finding.kind for finding in unproven(folder, ["J", "K"])] == ["judge unproven"] * 2


def test_what_was_said_of_other_answers_counts_for_nothing(folder: Path) -> None:
    left = ballots(folder)
    write_judgements(folder, tuple(one for ballot in left for one in judged(ballot, ("tuned", "tuned"))))
    for ballot in left[:40]:
        add_vote(folder, prefer(ballot, "tuned"))
    add_vote(folder, prefer(left[40], "tuned").model_copy(update={"answers": ""}))  # of which answers is not known
    assert (tally(folder).votes, tally(folder).judges[0].n) == (40, 40)
    again = {ballot.id for ballot in left[:10]}
    answers(folder, "tuned", ["better" if str(n) in again else "right" for n in range(N - 1)] + ["wrong"])
    found = tally(folder)
    assert (found.votes, found.rates[0].wins, found.judges[0].n) == (30, 30, 30)
    assert again < {ballot.id for ballot in ballots(folder)} and len(ballots(folder)) == N - 1 - 30
    for ballot in ballots(folder):
        add_vote(folder, prefer(ballot, "base"))
    assert (tally(folder).rates[0].wins, tally(folder).rates[0].losses) == (30, N - 1 - 30)
    assert tally(folder).judges[0].n == N - 1 - 10  # the judge has not seen the new answers
    write_asked(folder / "evaluation.json", Asked(sides={"people": ("base",)}))
    assert tally(folder).votes == 0 and tally(folder).judges == []


def test_a_vote_is_of_the_question_too(folder: Path) -> None:
    left = ballots(folder)
    write_judgements(folder, tuple(one for ballot in left for one in judged(ballot, ("tuned", "tuned"))))
    for ballot in left[:40]:
        add_vote(folder, prefer(ballot, "tuned"))
    for side, text in (("base", "wrong"), ("tuned", "right")):
        answers(folder, side, [text] * (N - 1) + ["wrong"], ask="Where is")
    found = tally(folder)
    assert (found.votes, found.rates, found.judges) == (0, [], []) and len(ballots(folder)) == N - 1
