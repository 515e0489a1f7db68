"""The real server as a child process, asked over real HTTP by OpenAI's own client."""

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import httpx2
import openai
import pytest

from evals.executor import Executor
from evals.models import load_comparison
from ftspace.errors import ModelError
from ftspace.inference.shelf import Shelf
from ftspace.runs import Run, RunStore
from ftspace.settings import ROOT, worker_env

KEY = "a key for this test"
CHECKPOINT = "checkpoint-40"
ASK: list[Any] = [{"role": "user", "content": "What does Anna like?"}]


@pytest.fixture(scope="module")
def port(trained: Run, second: Run) -> Iterator[int]:
    process = subprocess.Popen(
        [sys.executable, "-m", "ftspace.inference.server", str(trained.path), str(second.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env=worker_env(offline=True),
        text=True,
    )
    assert process.stdin and process.stdout
    process.stdin.write(KEY + "\n")
    process.stdin.flush()
    yield json.loads(process.stdout.readline())["port"]
    process.stdin.close()  # it ends with its standard input
    assert process.wait(timeout=10) == 0
    process.stdout.close()


@pytest.fixture(scope="module")
def client(port: int) -> Iterator[openai.OpenAI]:
    http = openai.DefaultHttpxClient(trust_env=False)
    with openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key=KEY, max_retries=0, http_client=http) as client:
        yield client


def ask(client: openai.OpenAI, model: str, **settings: Any) -> Any:
    create: Any = client.chat.completions.create
    return create(model=model, messages=ASK, **{"max_tokens": 24, **settings})


def test_lists_all_that_can_be_asked(client: openai.OpenAI, second: Run) -> None:
    assert [model.id for model in client.models.list()] == ["base", "tuned", CHECKPOINT, second.id]


def test_answers_are_those_of_the_evaluation(client: openai.OpenAI, trained: Run) -> None:
    model, tokenizer = load_comparison(trained.config.model.id, trained.adapter, device="cpu")
    executor = Executor(model, tokenizer)
    prompt = executor.prompter.render(ASK)
    answers = {side: ask(client, side) for side in ("base", "tuned", "base")}
    for side in ("base", "tuned"):
        expected = executor.generate([prompt], 24, side)[0]
        answer = answers[side]
        assert answer.choices[0].message.content == expected.text
        assert answer.choices[0].finish_reason == {"end": "stop", "length": "length"}[expected.finish]
        assert answer.usage.prompt_tokens == len(executor.prompter.encode(prompt))
        assert answer.usage.completion_tokens == len(expected.tokens) + (expected.finish == "end")
    assert answers["base"].choices[0].message.content != answers["tuned"].choices[0].message.content


def test_another_run_on_the_same_base_answers_as_it_does_alone(client: openai.OpenAI, second: Run) -> None:
    executor = Executor(*load_comparison(second.config.model.id, second.adapter, device="cpu"))
    (expected,) = executor.generate([executor.prompter.render(ASK)], 24, "tuned")
    texts = [ask(client, side).choices[0].message.content for side in (second.id, "tuned", second.id)]
    assert texts[0] == texts[2] == expected.text != texts[1]


def test_runs_on_another_base_are_refused(trained: Run, tmp_path: Path) -> None:
    model = trained.config.model.model_copy(update={"dtype": "bfloat16"})
    other = RunStore(tmp_path).create(trained.config.model_copy(update={"model": model}))
    with pytest.raises(ModelError, match=r"not on the same base: model\.dtype is auto and bfloat16"):
        Shelf(trained).add(other)


def test_a_checkpoint_is_loaded_when_first_asked(client: openai.OpenAI, trained: Run, second: Run) -> None:
    """Its weights are those of the second run, so it must answer as that does."""
    texts = {side: ask(client, side).choices[0].message.content for side in (CHECKPOINT, second.id, "tuned")}
    assert texts[CHECKPOINT] == texts[second.id] != texts["tuned"]


def test_answers_written_at_once_are_those_written_alone(client: openai.OpenAI, second: Run) -> None:
    sides = ["base", "tuned", second.id, "base", CHECKPOINT, "tuned"]
    sampled = {"temperature": 1.2, "top_p": 0.9, "seed": 5}
    jobs = [(side, settings) for side in sides for settings in ({}, sampled)]
    alone = [ask(client, side, **settings).choices[0].message.content for side, settings in jobs]
    with ThreadPoolExecutor(len(jobs)) as pool:
        at_once = list(pool.map(lambda job: ask(client, job[0], **job[1]).choices[0].message.content, jobs))
    assert at_once == alone


def test_two_streams_come_side_by_side(client: openai.OpenAI) -> None:
    """Neither is done before the other has begun, however they are asked."""
    told: SimpleQueue[str] = SimpleQueue()

    def follow(side: str, seed: int) -> None:
        for part in ask(client, side, stream=True, max_tokens=200, temperature=1.5, seed=seed):
            told.put(side if part.choices[0].delta.content else f"{side} is done")

    def together(seed: int) -> bool:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(follow, ["base", "tuned"], [seed, seed]))
        order = [told.get() for _ in range(told.qsize())]
        first_end = min(order.index(f"{side} is done") for side in ("base", "tuned"))
        return {"base", "tuned"} <= set(order[:first_end])

    assert any(map(together, range(8)))  # one of them may be asked late, on a busy machine


@pytest.mark.parametrize(
    ("name", "path", "status", "says"),
    [
        (CHECKPOINT, "checkpoint", 200, None),
        ("mine", "checkpoint", 400, f"called {CHECKPOINT}"),
        ("mine", "/etc", 403, "no folder that this server was started for"),
        ("mine", "base", 403, "no folder that this server was started for"),
        ("mine", "\0", 403, "no folder"),
    ],
)
def test_only_folders_that_the_starter_named_are_loaded(
    port: int, trained: Run, name: str, path: str, status: int, says: str | None
) -> None:
    known = {"checkpoint": trained.checkpoints / "step-000040", "base": Path(trained.config.model.id)}
    body = {"lora_name": name, "lora_path": str(known.get(path, path))}
    with httpx2.Client(trust_env=False, headers={"Authorization": f"Bearer {KEY}"}) as http:
        answer = http.post(f"http://127.0.0.1:{port}/v1/load_lora_adapter", json=body)
    assert answer.status_code == status
    assert says is None or says in answer.json()["error"]["message"]


@pytest.mark.parametrize("side", ["base", "tuned"])
def test_streams_the_same_text(client: openai.OpenAI, side: str) -> None:
    whole = ask(client, side).choices[0]
    parts = [part.choices[0] for part in ask(client, side, stream=True)]
    assert "".join(part.delta.content or "" for part in parts) == whole.message.content
    assert parts[-1].finish_reason == whole.finish_reason
    assert [part.finish_reason for part in parts[:-1]] == [None] * (len(parts) - 1)


def test_sampling_follows_the_seed(client: openai.OpenAI) -> None:
    texts = [
        ask(client, "tuned", temperature=1.5, top_p=0.95, seed=seed).choices[0].message.content for seed in (1, 1, 2)
    ]
    assert texts[0] == texts[1] != texts[2]


def test_a_broken_off_stream_lets_the_next_one_in(client: openai.OpenAI) -> None:
    with ask(client, "tuned", stream=True, max_tokens=200) as stream:
        next(iter(stream))
    assert ask(client, "base").choices[0].finish_reason in ("stop", "length")


@pytest.mark.parametrize(
    ("body", "status", "param", "code"),
    [
        ({"model": "other", "messages": ASK}, 404, "model", "model_not_found"),
        ({"model": "base", "messages": []}, 400, "messages", None),
        ({"model": "base", "messages": [{"role": "cook", "content": "?"}]}, 400, "messages.0.role", None),
        ({"model": "base", "messages": ASK, "temperature": 3}, 400, "temperature", None),
        ({"model": "base", "messages": ASK, "n": 2}, 400, "n", None),
        (
            {"model": "base", "messages": [{"role": "user", "content": "far too long " * 200}]},
            400,
            "messages",
            "context_length_exceeded",
        ),
        ("no json", 400, None, None),
    ],
)
def test_bad_requests_are_told_in_openais_shape(
    port: int, body: Any, status: int, param: str | None, code: str | None
) -> None:
    content = body if isinstance(body, str) else json.dumps(body)
    url = f"http://127.0.0.1:{port}/v1/chat/completions"
    with httpx2.Client(trust_env=False, headers={"Authorization": f"Bearer {KEY}"}) as http:
        answer = http.post(url, content=content)
    assert answer.status_code == status
    error = answer.json()["error"]
    assert error["message"] and error["type"] == "invalid_request_error"
    assert (error["param"], error["code"]) == (param, code)


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": KEY}])
def test_a_key_is_required(port: int, header: dict[str, str]) -> None:
    with httpx2.Client(trust_env=False, headers=header, base_url=f"http://127.0.0.1:{port}/v1") as http:
        answers = [http.get("/models"), http.post("/chat/completions", json={"model": "base", "messages": ASK})]
    assert [answer.status_code for answer in answers] == [401, 401]
    assert answers[0].json()["error"]["code"] == "invalid_api_key"


def test_an_unknown_path_is_told_in_openais_shape(port: int) -> None:
    with httpx2.Client(trust_env=False) as http:
        answer = http.get(f"http://127.0.0.1:{port}/v1/embeddings")
    assert answer.status_code == 404
    assert "embeddings" in answer.json()["error"]["message"]
