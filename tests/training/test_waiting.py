"""The train job's process before there is a run: it takes the one it is given, and ends with its supervisor."""

import os
import socket
import threading
from pathlib import Path

import pytest

from ftspace.launchers.handover import Work, offer, taken
from ftspace.training import waiting

ROUNDS = 300


def test_a_run_that_was_taken_is_worked_on_when_the_supervisor_lets_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who gave the run closes the socket at once: never may that look as though nobody had given one."""
    ended: list[int] = []
    begun: list[str] = []
    monkeypatch.setattr(waiting, "import_for", lambda job: None)  # done long ago: it waits for a run only
    monkeypatch.setattr(waiting, "print_to", lambda log: None)
    monkeypatch.setattr(waiting, "run_job", lambda run, name, work: begun.append(run.id))
    monkeypatch.setattr(os, "_exit", ended.append)
    for number in range(ROUNDS):
        supervisor, its = socket.socketpair()
        worker = threading.Thread(target=waiting.main, args=(its,))
        worker.start()
        with supervisor:
            assert offer(supervisor, Work(tmp_path / str(number), None, []))
            assert taken(supervisor, 60)
        worker.join(60)
    assert ended == []
    assert begun == [str(number) for number in range(ROUNDS)]


def test_it_ends_with_a_supervisor_that_has_no_run_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[int] = []
    monkeypatch.setattr(waiting, "import_for", lambda job: None)
    monkeypatch.setattr(os, "_exit", ended.append)
    supervisor, its = socket.socketpair()
    supervisor.close()
    assert waiting.main(its) == 0
    assert ended == [0]
