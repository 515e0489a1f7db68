"""The commands `serve` and `chat` as real processes, asked by OpenAI's own client and through a pipe."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import openai
import pytest

from ftspace import cli
from ftspace.access import LOCAL
from ftspace.chats import newest
from ftspace.runs import Run, take_lock
from ftspace.settings import ROOT, worker_env
from ftspace.slots import slots_of
from tests.inference import conftest as models

trained, second = models.trained, models.second
ASK: list[Any] = [{"role": "user", "content": "What does Anna like?"}]


def command(*words: str, run: Run) -> list[str]:
    return [sys.executable, "-m", "ftspace", *words, "--data-dir", str(run.path.parent.parent)]


@contextmanager
def served(run: Run, *words: str) -> Generator[tuple["subprocess.Popen[str]", dict[str, str]]]:
    """The command `serve`, and what it said: address, models and key."""
    process = subprocess.Popen(
        command("serve", run.id, "--port", "0", *words, run=run),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        env=worker_env(offline=True),
        text=True,
    )
    assert process.stdout and process.stderr
    try:
        said = "".join(process.stdout.readline() for _ in range(4))
        yield process, dict(re.findall(r"^(address|models|export FTSPACE_KEY)[:=] ?(.+)$", said, re.MULTILINE))
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


def client_of(said: dict[str, str], key: str) -> openai.OpenAI:
    http = openai.DefaultHttpxClient(trust_env=False)
    return openai.OpenAI(base_url=said["address"], api_key=key, max_retries=0, http_client=http)


def test_serve_answers_programs_until_ctrl_c(trained: Run, second: Run) -> None:
    """While it serves, another command is refused in one line."""
    with served(trained, "--also", second.id) as (process, said):
        assert said["models"] == f"base, tuned, checkpoint-40, {second.id}"
        with client_of(said, said["export FTSPACE_KEY"]) as client:

            def ask(side: str) -> str | None:
                answer = client.chat.completions.create(model=side, messages=ASK, max_tokens=16)
                return answer.choices[0].message.content

            sides = ["base", "tuned", second.id]
            with ThreadPoolExecutor(3) as pool:
                assert list(pool.map(ask, sides)) == [ask(side) for side in sides]
            with pytest.raises(openai.NotFoundError, match="no model 'nobody'"):
                ask("nobody")
        with client_of(said, "wrong") as client, pytest.raises(openai.AuthenticationError):
            client.models.list()
        assert cli.main(command("serve", trained.id, "--port", "0", run=trained)[3:]) == 2
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 0
        assert process.stderr and "memory is given back" in process.stderr.read()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--host", "0.0.0.0"], "--key KEY"),
        (["--port", "70000"], "--port 70000 is no port"),
        (["--also", "20200101-000000-000000000000"], "there is no run"),
        ([], "another command has the machine"),
    ],
)
def test_serve_refuses_in_one_line(
    words: list[str],
    says: str,
    trained: Run,
    capsys: pytest.CaptureFixture[str],
) -> None:
    held = take_lock(slots_of(trained.path.parent)[0].lock)
    assert held is not None
    try:
        assert cli.main(command("serve", trained.id, *words, run=trained)[3:]) == 2
    finally:
        os.close(held)
    error = capsys.readouterr().err.strip()
    assert says in error and "\n" not in error


def test_chat_talks_through_a_pipe(trained: Run) -> None:
    """Several turns and commands; the same question is answered alike after a reset, and a side keeps to its own."""
    question = "What does Anna like?"
    lines = [question, "/reset", question, "/side nobody", "/side base", question, "/what", "/quit", "never asked"]
    done = subprocess.run(
        command("chat", trained.id, "--max-tokens", "12", run=trained),
        input="\n".join(lines),
        capture_output=True,
        cwd=ROOT,
        env=worker_env(offline=True),
        text=True,
        timeout=300,
        check=False,
    )
    answers = re.split(r"^(?=(?:base|tuned)> )", done.stdout, flags=re.MULTILINE)[1:]
    assert len(answers) == 3
    assert answers[0] == answers[1] and answers[0].startswith("tuned> ") and answers[2].startswith("base> ")
    assert answers[2].removeprefix("base> ") != answers[0].removeprefix("tuned> ")
    assert "there is no side 'nobody'" in done.stderr and "/reset, /side NAME and /quit" in done.stderr
    _, (kept,) = newest(trained, LOCAL, "chat")
    assert kept.question == question and f"base> {kept.answers['base'].text.strip()}" == answers[2].strip()
    assert trained.chats.read_text().count(question) == 3, "each conversation is a chat of its own"
    assert done.returncode == 1  # since something failed, and nobody was there to see it
