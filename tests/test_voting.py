import io
import json
import os
from pathlib import Path

import pytest

from evals.arena.votes import Choice, read_votes
from evals.judge.records import Judgement, write_judgements
from evals.log import write_log
from evals.results import JudgeSummary, read_results, write_results
from ftspace.access import LOCAL
from ftspace.cli import main
from ftspace.config import default_config
from ftspace.errors import JobError
from ftspace.runs import Run, RunStore, take_lock
from ftspace.voting import Poll, counted, prove, sides_of, tasks_of
from tests.report.made import TASK, log, made

COUNT = 12
NAMES = ("base", "tuned", "Base", "Tuned")


def answered(store: RunStore) -> Run:
    """A run whose answers do not say who gave them."""
    run = made(store, [0.0] * COUNT, [1.0] * COUNT)
    for side, word in (("base", "red"), ("tuned", "blue"), ("reference", "grey")):
        found = log(side, [1.0] * COUNT, "text")
        samples = tuple(one.model_copy(update={"output": f"{word} {one.id}"}) for one in found.samples)
        write_log(run.evals / TASK / f"{side}.json", found.model_copy(update={"samples": samples}))
    return run


def next_token(poll: Poll, skipped: list[str] | None = None) -> str:
    paper = poll.turn(skipped or []).paper
    assert paper is not None
    return paper.token


def test_one_votes_to_the_end_on_any_page_and_finds_the_place_again(store: RunStore) -> None:
    run = answered(store)
    assert (sides_of(run), tasks_of(run)) == (["base", "tuned", "reference"], [TASK])
    first, other = Poll(run, "ann"), Poll(run, "ann")
    seen: set[str] = set()
    for place in range(COUNT):
        turn = (first, other)[place % 2].turn()
        assert (turn.done, turn.total) == (place, COUNT) and turn.paper is not None
        assert not any(name in repr(turn.paper) for name in NAMES)
        assert turn.paper.question == f"text asked {turn.paper.first.split()[1]}", "not the prompt around it"
        seen.add(turn.paper.token)
        first.vote(turn.paper.token, "first" if turn.paper.first.startswith("blue") else "second")
    assert len(seen) == COUNT and Poll(run, "ann").turn().paper is None
    assert Poll(run, "ben").turn().done == 0
    (rate,) = counted(run).rates
    assert (rate.side, rate.wins, rate.losses) == ("tuned", COUNT, 0)


def test_what_is_skipped_comes_again_and_what_is_undone_at_once(store: RunStore) -> None:
    poll = Poll(answered(store), LOCAL)
    first = next_token(poll)
    second = next_token(poll, [first])
    assert first != second
    poll.vote(second, "tie")
    assert next_token(poll, [first]) not in (first, second)
    poll.undo()
    assert next_token(poll, [first]) == second and poll.turn().last is None
    poll.undo()
    poll.vote("no such token", "tie")
    assert poll.turn().done == 0 and [vote.choice for vote in read_votes(poll.run.evals)] == ["tie", "withdrawn"]
    everything = [next_token(poll)]
    while len(everything) < COUNT:
        everything.append(next_token(poll, everything))
    assert next_token(poll, everything) == everything[0]


@pytest.mark.parametrize("again", ["first", "second", "tie", "withdrawn"])
def test_who_was_told_whose_answers_they_are_votes_on_them_no_more(store: RunStore, again: Choice) -> None:
    poll = Poll(answered(store), LOCAL)
    paper = poll.turn().paper
    assert paper is not None
    poll.reveal()
    poll.vote(paper.token, "first")
    before = poll.turn().last
    assert before is not None and before.whose is None
    poll.reveal()
    told = poll.turn().last
    assert told is not None and told.whose is not None
    assert {"red": "base", "blue": "tuned"}[paper.first.split()[0]] == told.whose[0]
    poll.undo()
    poll.vote(paper.token, again)
    assert poll.turn().last == told and poll.turn().done == 1
    assert Poll(poll.run, "ben").turn().done == 0, "another was not told"


def test_sides_and_task_are_those_of_the_run(store: RunStore) -> None:
    run = answered(store)
    assert Poll(run, LOCAL, ["base", "tuned", "reference"], TASK).total == 3 * COUNT
    assert Poll(run, LOCAL, task="another").total == 0
    for sides in ([], ["base"], ["base", "base"], ["base", "../base"]):
        with pytest.raises(JobError, match="two sides"):
            Poll(run, LOCAL, sides).turn()
    empty = store.create(default_config())
    assert sides_of(empty) == [] == tasks_of(empty)


def test_both_bad_is_a_tie_that_is_told_apart(store: RunStore) -> None:
    poll = Poll(answered(store), LOCAL)
    for choice in ("bad", "tie", "bad"):
        poll.vote(next_token(poll), choice)
    found = counted(poll.run)
    assert (found.votes, found.bad, found.rates[0].ties) == (3, 2, 3)
    poll.undo()
    assert counted(poll.run).bad == 1


def test_votes_prove_a_judge_in_the_runs_own_results(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    run = answered(store)
    poll = Poll(run, LOCAL)
    prove(run)
    write_judgements(run.evals, (Judgement(task=TASK, id="0", judge="J", way="rubric", side="base", score=3),))
    found = read_results(run.results)
    judge = JudgeSummary(judge="J", kind="pairwise", n=9, missing=0)
    write_results(run.results, found.model_copy(update={"judges": (judge,)}))
    poll.vote(next_token(poll), "tie")
    before = run.results.read_bytes()
    run.ticket.write_text("{}")
    prove(run)
    run.ticket.unlink()
    lock = take_lock(run.lock)
    assert lock is not None
    prove(run)
    os.close(lock)
    assert run.results.read_bytes() == before, "whoever is at work on it, or will be, writes it"

    def tables(*_: object) -> None:
        assert run.is_alive(), "nobody may set to work meanwhile"

    monkeypatch.setattr("ftspace.voting.write_tables", tables)
    prove(run)
    assert not run.is_alive()
    assert [one.kind for one in read_results(run.results).findings].count("judge unproven") == 1


def test_the_command_votes_for_the_same_person(
    store: RunStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run = answered(store)
    Poll(run, LOCAL).vote(next_token(Poll(run, LOCAL)), "tie")
    monkeypatch.setattr("sys.stdin", io.StringIO("1\nq\n"))
    words = ["runs", "vote", run.id, "--data-dir", str(store.runs_dir.parent)]
    assert main([*words, "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["votes"] == 2 and f"{COUNT - 1} pairs" in said.err
    assert not any(name in said.err for name in NAMES)
    assert main([*words, "--sides", "base"]) == 2 and "two sides" in capsys.readouterr().err
