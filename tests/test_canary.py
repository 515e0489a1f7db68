"""A token that is used for everything, and then looked for everywhere: files, output, process arguments, the Hub."""

import json
import os
import shutil
import subprocess
import sys
import threading
from base64 import b64encode
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from ftspace.config import RunConfig
from ftspace.runs import RunStore
from ftspace.settings import ASSETS, ROOT
from tests.loopback_hub import LoopbackHub, Token, serve

CANARY = "k4nary/T0ken+of=the.flow"
"""Of no known shape, so that only knowing it takes it out."""
NAMES = ("", "me:", "user:", "hf_user:", "__token__:")
FORMS = {
    CANARY.encode(),
    quote(CANARY, safe="").encode(),
    quote(CANARY, safe="").lower().replace("t0ken", "T0ken").encode(),
    quote(CANARY).encode(),
    quote_plus(CANARY).encode(),
    json.dumps(CANARY)[1:-1].replace("/", "\\/").encode(),
    *(b64encode(f"{name}{CANARY}".encode()).rstrip(b"=") for name in NAMES),
}
CRASH = """
import sys
from pathlib import Path
from huggingface_hub import HfApi, get_token
from ftspace.runs import Run
from ftspace.workers import run_job

def work(job):
    print("asking with", get_token(), flush=True)
    try:
        HfApi().model_info("me/echo")
    except Exception as error:
        raise RuntimeError(f"in one line: {str(error).splitlines()[-1]}") from error

sys.exit(run_job(Run(Path(sys.argv[1])), "train", work))
"""


class Echoing(LoopbackHub):
    """A Hub that says the token again, in every way it knows, when it refuses `me/echo`."""

    heard = 0

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = Request(scope).headers.get("authorization", "").removeprefix("Bearer ")
        self.heard += given == CANARY
        harmless = scope["path"].startswith("/api/datasets") and "/commit/" not in scope["path"]
        answer = super().app if harmless or "/me/echo" not in scope["path"] else self._echo(given)
        await answer(scope, receive, send)

    def _echo(self, given: str) -> JSONResponse:
        basic = b64encode(f"me:{given}".encode()).decode()
        said = f"no: {given}, ?token={quote(given, safe='')}, Authorization: Basic {basic}"
        return JSONResponse({"error": said}, 400, headers={"X-Error-Message": said})


def found_in(content: bytes) -> bool:
    return any(form in content for form in FORMS)


@contextmanager
def arguments_watched() -> Generator[list[str]]:
    """What processes were called with the token in their arguments, looked at all the while."""
    seen: list[str] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.02):
            for process in Path("/proc").glob("[0-9]*"):
                try:
                    if found_in((process / "cmdline").read_bytes()):
                        seen.append(process.name)
                except OSError:
                    continue

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[tuple[Echoing, str]]:
    """A private model and a private dataset, which only the token's owner can read."""
    root = tmp_path / "hub"
    shutil.copytree(ASSETS / "base", root / "models" / "me" / "base")
    rows = root / "datasets" / "me" / "rows"
    rows.mkdir(parents=True)
    (rows / "train.jsonl").write_text(
        "".join(json.dumps({"question": f"{n}+1?", "answer": str(n + 1)}) + "\n" for n in range(60))
    )
    for repo in (rows, root / "models" / "me" / "base"):
        (repo / ".private").touch()
    loopback = Echoing(root)
    loopback.tokens[CANARY] = Token("me", "write")
    with serve(loopback) as address:
        yield loopback, address


def test_a_token_is_found_nowhere(hub: tuple[Echoing, str], tmp_path: Path) -> None:
    places = {name: tmp_path / name for name in ("home", "hf", "cache", "temp", "data")}
    for place in places.values():
        place.mkdir()
    env = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "FTSPACE_"))}
    env |= {"HF_ENDPOINT": hub[1], "HF_TOKEN": CANARY, "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    env |= {"HOME": str(places["home"]), "HF_HOME": str(places["hf"]), "XDG_CACHE_HOME": str(places["cache"])}
    env |= {"TMPDIR": str(places["temp"]), "FTSPACE_DATA": str(places["data"])}
    config = tmp_path / "config.yaml"
    config.write_text(
        "{model: {id: me/base}, data: {id: me/rows}, eval: {tasks: []}, train: {max_steps: 2, samples: 0}}"
    )
    crashed = RunStore(places["data"] / "runs").create(RunConfig())

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *words]
        return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=600, check=False)

    def crash() -> int:
        command = [sys.executable, "-c", CRASH, str(crashed.path)]
        with crashed.log.open("ab") as log:
            return subprocess.run(command, cwd=ROOT, env=env, stdout=log, stderr=log, timeout=600).returncode

    with arguments_watched() as arguments, ThreadPoolExecutor(2) as pool:
        training = pool.submit(run, "-m", "ftspace", "run", str(config), "--json")
        pushed = run("-m", "ftspace", "prepare", "me/rows", "--out", str(tmp_path / "out"), "--push", "me/talks")
        failed = run("-m", "ftspace", "prepare", "me/rows", "--out", str(tmp_path / "kept"), "--push", "me/echo")
        assert crash() == 1
        shown = run("-m", "ftspace", "runs", "show", crashed.id)
        trained = training.result()

    assert trained.returncode == 0, trained.stderr
    assert pushed.returncode == 0, pushed.stderr
    assert (hub[0].root / "datasets" / "me" / "talks" / "README.md").exists()
    assert failed.returncode == 2 and "refuses me/echo (status 400)" in failed.stderr
    assert hub[0].heard > 20, "the token was used"
    printed = [text for one in (trained, pushed, failed, shown) for text in (one.stdout, one.stderr)]
    files = [path for path in tmp_path.rglob("*") if path.is_file() and not path.is_symlink()]
    assert len(files) > 40
    assert [text for text in printed if found_in(text.encode())] == []
    assert [str(path) for path in files if found_in(path.read_bytes()) or found_in(path.name.encode())] == []
    assert arguments == []
    assert "[redacted]" in shown.stdout and "asking with [redacted]" in crashed.log.read_text()
