import io
import json
from pathlib import Path

import pytest

from evals.arena.votes import ballots, read_votes
from evals.cli import main
from tests.evals.arena.test_votes import answers


def test_voting_on_the_terminal_is_blind_kept_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers(tmp_path, "base", ["wrong [bold]\x1b[31m"] * 3)
    answers(tmp_path, "tuned", ["right"] * 3)
    first = ballots(tmp_path)[0]
    monkeypatch.setattr("sys.stdin", io.StringIO("what\n1\ns\nq\n"))
    assert main(["vote", str(tmp_path), "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["votes"] == 1
    (vote,) = read_votes(tmp_path)
    assert (vote.id, vote.winner) == (first.id, first.first)
    assert "wrong [bold]" in said.err and "\x1b[31m" not in said.err
    assert "base" not in said.err and "tuned" not in said.err

    monkeypatch.setattr("sys.stdin", io.StringIO("t\n"))
    assert main(["vote", str(tmp_path), "--count", "1"]) == 0
    assert main(["vote", str(tmp_path), "--report"]) == 0
    assert "tuned preferred to base" in capsys.readouterr().out
    assert main(["vote", str(tmp_path), "--sides", "base"]) == 2
