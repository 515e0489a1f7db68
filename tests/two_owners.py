"""Two owners' runs with secrets everywhere in them, and somebody at the app's door who speaks HTTP as a browser does.

Every text that comes back is kept, so that a test can count which secrets it held. Knows no handler of the app: what
can be called is read from its /config.
"""

import fcntl
import hashlib
import json
import os
import secrets
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import httpx2

from evals.log import EvalLog, EvalSpec, Sample, write_log
from evals.results import Results, Row, write_results
from ftspace.access import Access
from ftspace.config import default_config, merge, parse_config
from ftspace.data.review import Decision
from ftspace.events import EventLog, Started, Step, Warned
from ftspace.events import Sample as Answer
from ftspace.runs import Run, RunStore
from ftspace.ui.choose.reviews import Reviews
from ftspace.ui.limits import RATES

TASK = "towns"


@dataclass(frozen=True)
class Owner:
    """Somebody with a run, an upload and decisions, all of which hold the secret."""

    name: str
    secret: str
    run: Run
    upload: Path
    review: str

    @classmethod
    def settle(cls, name: str, data_dir: Path, *, public: bool = False) -> "Owner":
        """Makes all of it, as the app would have left it."""
        secret = "NOTHING-TO-HIDE" if public else f"SECRET-OF-{name.upper()}-{secrets.token_hex(6)}"
        uploads = data_dir / "uploads" / name
        uploads.mkdir(parents=True, exist_ok=True)
        upload = uploads / f"mine-{secrets.token_hex(4)}.jsonl"
        upload.write_text(
            "".join(json.dumps({"question": f"{secret} {n}?", "answer": secret}) + "\n" for n in range(9))
        )
        review = Reviews(data_dir / "reviews" / name).decide("", Decision(id="0" * 64, keep=False, note=secret))
        told = {"data": {"id": str(upload), "system": secret}, "eval": {"tasks": ["heldout"]}}
        config = parse_config(merge(default_config().model_dump(), told))
        run = RunStore(data_dir / "runs").create(config, Access(owner=name, public=public))
        _fill(run, secret)
        return cls(name, secret, run, upload, review)

    @contextmanager
    def at_work(self) -> Generator[None]:
        """The run's lock is held, as by its processes: it can be stopped."""
        lock = os.open(self.run.lock, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            os.close(lock)


def _fill(run: Run, secret: str) -> None:
    events = EventLog(run.events)
    events.append(Started(job="train", pid=1))
    events.append(Step(step=1, epoch=0.1, loss=2.0, learning_rate=1e-4, tokens=10, seconds=1.0))
    events.append(Answer(step=0, index=0, prompt=secret, answer=secret, reference=secret))
    events.append(Warned(message=f"look at {secret}"))
    events.close()
    run.log.write_text(f"Traceback: {secret}\n")
    run.adapter.mkdir()
    run.data.mkdir()
    row = {"messages": [{"role": "user", "content": secret}, {"role": "assistant", "content": secret}]}
    (run.data / "test.jsonl").write_text(json.dumps(row) + "\n")
    spec = EvalSpec(
        base="b", task=TASK, task_hash="t", kind="generation", n=1, dtype="float32", device="cpu", tokenizer_hash="h",
        max_new_tokens=8, end_ids=(0,), batch_tokens=64, seed=0, versions={},
    )  # fmt: skip
    sample = Sample(id="0", prompt=secret, expected=(secret,), output=secret, scores={"exact": 1.0})
    for which in ("base", "tuned"):
        write_log(
            run.evals / TASK / f"{which}.json",
            EvalLog(spec=spec, which=which, started="2026-01-01T00:00:00Z", seconds=1.0, samples=(sample,)),
        )
    row = Row(
        task=TASK, metric=f"exact-{secret}", base=0.1, base_stderr=0.1, tuned=0.5, tuned_stderr=0.1, delta=0.4,
        ci_low=0.2, ci_high=0.6, n=1, unscored=0, verdict="better",
    )  # fmt: skip
    write_results(run.results, Results(rows=(row,), verdict="better"))


def snapshot(data_dir: Path) -> dict[str, str]:
    """Every file that is kept, by a hash of what is in it."""
    kept = (path for room in ("runs", "uploads", "reviews") for path in (data_dir / room).rglob("*"))
    return {
        str(path.relative_to(data_dir)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in kept
        if path.is_file()
    }


@dataclass
class Caller:
    """A browser without a screen."""

    url: str
    http: httpx2.Client
    cookie: str = ""
    session: str = field(default_factory=lambda: secrets.token_hex(8))
    heard: list[str] = field(default_factory=list[str])
    """Every text that came back, headers included."""
    calls: int = 0

    def send(self, method: str, path: str, **options: Any) -> httpx2.Response:
        """One request with the cookie, which is Secure: a client would not send it over plain HTTP."""
        headers = {**({"cookie": self.cookie} if self.cookie else {}), **options.pop("headers", {})}
        response = self.http.request(method, f"{self.url}{path}", headers=headers, **options)
        self.http.cookies.clear()
        self.calls += 1
        self.heard.append(f"{response.headers} {response.text}")
        if set_cookie := response.headers.get("set-cookie"):
            self.cookie = set_cookie.partition(";")[0]
        return response

    def sign_in(self, user: str) -> None:
        """Goes to the provider and back."""
        asked = self.send("GET", "/login/huggingface").headers["location"]
        back = self.http.get(f"{asked}&user={user}").headers["location"]
        assert self.send("GET", back.removeprefix(self.url)).status_code in (302, 307)

    def config(self) -> dict[str, Any]:
        """What the app says can be called."""
        return self.send("GET", "/config").json()

    def join(self, fn: int, data: list[Any], query: str = "", session: str = "", **more: Any) -> httpx2.Response:
        """Puts one raw call into the queue, once that is not too often."""
        body = {"data": data, "fn_index": fn, "session_hash": session or self.session, **more}
        while True:
            joined = self.send("POST", f"/gradio_api/queue/join{query}", json=body)
            if joined.status_code != 429:
                return joined
            self.heard.pop()
            self.calls -= 1
            time.sleep(RATES["call"].seconds)

    def answers(self, session: str = "") -> str:
        """All that the queue has to say to a session, until it has no more."""
        return self.send("GET", f"/gradio_api/queue/data?{urlencode({'session_hash': session or self.session})}").text

    def call(self, fn: int, data: list[Any], query: str = "", **more: Any) -> str:
        """One raw call and its answer."""
        joined = self.join(fn, data, query, **more)
        return self.answers(more.get("session", "")) if joined.status_code == 200 else joined.text

    def file(self, path: str) -> httpx2.Response:
        """A file by its path."""
        return self.send("GET", f"/gradio_api/file={quote(path)}")
