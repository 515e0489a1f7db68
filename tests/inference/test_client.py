import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from ftspace.errors import JobError, ModelError
from ftspace.inference import client as client_module
from ftspace.inference.child import Child
from ftspace.inference.client import LOG_NAME, InferenceClient, Reference, SideFailed, reference_named
from ftspace.runs import Run, RunStore
from ftspace.settings import ROOT, worker_env
from tests.loopback_hub.serving import serve

SECRET = "sk-ofTheReferenceModel"
ASK: list[Any] = [{"role": "user", "content": "What does Anna like?"}]


class Machine:
    """Says whether a job is at work, as the test wishes."""

    run_at_work: str | None = None

    def busy(self) -> str | None:
        return self.run_at_work


class Elsewhere:
    """Another's server, which answers chat completions as it is told."""

    def __init__(self, answer: Callable[[Request], Awaitable[Response]]) -> None:
        self._routes = Starlette(routes=[Route("/v1/chat/completions", answer, methods=["POST"])])

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._routes(scope, receive, send)


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def client(machine: Machine) -> Iterator[InferenceClient]:
    client = InferenceClient(machine.busy)
    yield client
    client.stop()


def gone(pid: int, seconds: float = 10) -> bool:
    """Whether a process ends within some seconds; a zombie has ended."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.05)
    return False


def gathered(items: Iterable[Any]) -> tuple[dict[str, str], dict[str, str]]:
    """What each side wrote, and why others did not; no side says anything after its end."""
    texts: dict[str, str] = {}
    failed: dict[str, str] = {}
    done: set[str] = set()
    for item in items:
        assert item[0] not in done
        if isinstance(item, SideFailed):
            failed[item.side] = item.message
        else:
            texts[item[0]] = texts.get(item[0], "") + item[1]
        if isinstance(item, SideFailed) or not item[1]:
            done.add(item[0])
    assert done == {*texts, *failed}
    return texts, failed


def test_one_child_answers_all_sides_until_a_job_needs_the_machine(
    client: InferenceClient, machine: Machine, trained: Run, second: Run
) -> None:
    """Another run is named while the child is up; a reference that fails keeps nobody else from answering."""
    assert not client.is_open(trained)
    assert client.sides(trained) == ["base", "tuned", "checkpoint-40"]
    base = "".join(client.stream(trained, "base", ASK, max_tokens=12))
    pid = client.pid
    assert pid is not None and client.is_open(trained)
    assert "".join(client.stream(trained, "tuned", ASK, max_tokens=12)) != base

    client.open(trained, also=[second])
    nobody = Reference("http://127.0.0.1:9/v1", "far", "sk-thatNobodyMaySee")
    sides = ["base", "checkpoint-40", second.id, "checkpoint-7"]
    texts, failed = gathered(client.together(trained, sides, ASK, max_tokens=12, reference=nobody))
    assert texts["base"] == base != texts["checkpoint-40"] == texts[second.id]
    assert "no model 'checkpoint-7'" in failed["checkpoint-7"]
    assert "cut off" in failed["reference"] and len(failed) == 2
    assert client.pid == pid

    answers = client.together(trained, ["base", "tuned"], ASK, max_tokens=200)
    next(answers)
    answers.close()
    assert "".join(client.stream(trained, "base", ASK, max_tokens=12)) == base

    machine.run_at_work = "20260101-000000-000000000000"
    assert gone(pid)
    with pytest.raises(JobError, match="at work on a run"):
        client.open(trained)


def test_a_reference_is_asked_in_its_own_words(client: InferenceClient, trained: Run) -> None:
    """It refuses some fields, as models that reason do, and another time says what must not be shown."""
    asked: list[dict[str, Any]] = []

    async def answer(request: Request) -> Response:
        asked.append(json.loads(await request.body()))
        if request.headers["authorization"] != f"Bearer {SECRET}":
            return JSONResponse({"error": {"message": f"who is {request.headers['authorization']}?"}}, 401)
        if "temperature" in asked[-1]:
            return JSONResponse({"error": {"message": "temperature is not supported"}}, 400)
        if "max_tokens" in asked[-1]:
            return JSONResponse({"error": {"message": "use max_completion_tokens"}}, 400)
        pieces = [{"choices": [{"index": 0, "delta": {"content": word}}]} for word in ("I ", "reason.")]
        lines = "".join(f"data: {json.dumps({'id': 'x', **piece})}\n\n" for piece in pieces)
        return Response(lines + "data: [DONE]\n\n", media_type="text/event-stream")

    with serve(Elsewhere(answer)) as address:
        right, wrong = (Reference(f"{address}/v1", "far", key) for key in (SECRET, "sk-anotherOfTheSecrets"))
        texts, _ = gathered(client.together(trained, [], ASK, max_tokens=9, temperature=0.5, reference=right))
        _, failed = gathered(client.together(trained, [], ASK, max_tokens=9, reference=wrong))
    assert texts == {"reference": "I reason."} and client.pid is None
    assert asked[2]["max_completion_tokens"] == 9 and asked[2]["top_p"] == 1.0 and asked[2]["model"] == "far"
    assert "who is" in failed["reference"] and "anotherOfTheSecrets" not in failed["reference"]
    assert SECRET not in repr(right)


def test_a_reference_is_named_as_a_judge_is() -> None:
    assert reference_named("http://127.0.0.1:1/v1#m", "k") == Reference("http://127.0.0.1:1/v1", "m", "k")
    hub = reference_named("hub:owner/model", "hf_token")
    assert (hub.model, hub.key, hub.place) == ("owner/model", "hf_token", "router.huggingface.co")
    for odd in ("some/folder", "ftp://host#m", "http://host/v1", "http://me:pass@host/v1#m"):
        with pytest.raises(ModelError, match=r"reference|no reference model"):
            reference_named(odd)


def test_an_idle_child_is_stopped_and_another_run_takes_its_place(
    machine: Machine, trained: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[int] = []

    def sleeper(run: Run, also: Any, token: str | None, begun: Any) -> Any:
        process = subprocess.Popen(["sleep", "60"], text=True)
        started.append(process.pid)
        kind = client_module._Served  # pyright: ignore[reportPrivateUsage]
        return kind(run.id, Child(process, 1), "", "", openai.OpenAI(api_key="-"), {})

    monkeypatch.setattr(client_module, "_start", sleeper)
    monkeypatch.setattr(client_module, "LOOK_SECONDS", 0.02)
    client = InferenceClient(machine.busy, idle_seconds=0.5)
    other = RunStore(tmp_path).create(trained.config)
    other.adapter.mkdir()
    client.open(trained)
    client.open(other)
    assert gone(started[0]) and client.pid == started[1] and client.is_open(other)
    assert gone(started[1])


@pytest.mark.parametrize("job", [True, False])
def test_loading_ends_when_a_job_comes_or_somebody_stops_it(
    machine: Machine, trained: Run, monkeypatch: pytest.MonkeyPatch, job: bool
) -> None:
    began = threading.Event()

    def slow(run: Run, also: Any, token: str | None, begun: Callable[[Child], None]) -> Any:
        process = subprocess.Popen(["sleep", "60"], text=True)
        begun(Child(process, 1))
        began.set()
        process.wait()
        raise ModelError("it ended")

    monkeypatch.setattr(client_module, "_start", slow)
    monkeypatch.setattr(client_module, "LOOK_SECONDS", 0.02)
    client = InferenceClient(machine.busy)

    def end() -> None:
        began.wait()
        machine.run_at_work = "20260101-000000-000000000000" if job else None
        if not job:
            client.stop()

    threading.Thread(target=end, daemon=True).start()
    until = time.monotonic() + 10
    with pytest.raises(ModelError, match="it ended"):
        client.open(trained)
    assert time.monotonic() < until


def test_a_run_without_adapter_is_refused(client: InferenceClient, trained: Run, tmp_path: Path) -> None:
    bare = RunStore(tmp_path).create(trained.config)
    with pytest.raises(JobError, match="no adapter yet"):
        client.open(bare)


def test_what_keeps_a_model_from_loading_is_told(client: InferenceClient, trained: Run, tmp_path: Path) -> None:
    broken = RunStore(tmp_path).create(trained.config)
    broken.adapter.mkdir()
    with pytest.raises(ModelError, match=r"cannot be loaded: .*adapter.* has no "):
        client.open(broken)
    assert client.pid is None


def test_the_child_dies_with_its_parent(trained: Run) -> None:
    script = (
        "import sys, time\nfrom pathlib import Path\n"
        "from ftspace.inference.client import InferenceClient\nfrom ftspace.runs import Run\n"
        "client = InferenceClient(lambda: None)\nclient.open(Run(Path(sys.argv[1])))\n"
        "print(client.pid, flush=True)\ntime.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(trained.path)],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env=worker_env(offline=True),
        text=True,
    ) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        os.kill(parent.pid, signal.SIGKILL)
    assert gone(pid)
    assert (trained.path / LOG_NAME).exists()
