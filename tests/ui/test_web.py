"""The gate by itself, before an app that answers everything, called as a server calls it."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio
import pytest

from ftspace.access import Access
from ftspace.config import default_config
from ftspace.errors import ConfigError
from ftspace.runs import RunStore
from ftspace.settings import read_settings
from ftspace.ui import web
from ftspace.ui.limits import RATES
from ftspace.ui.web import Gate, answers_name, download_name
from tests.ui.test_visitors import SPACE, said

JOIN, LOGIN, UPLOAD = "/gradio_api/queue/join", "/login", "/gradio_api/upload"
LOCAL = {"FTSPACE_HOST": "127.0.0.1"}
WITH_PASSWORD = {"FTSPACE_PASSWORD": "right"}


class Inner:
    """What stands behind the gate: signs in whom it is told to, knows the password, and counts what it is sent."""

    def __init__(self) -> None:
        self.bodies: list[int] = []
        self.at_work = self.most_at_work = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        self.bodies.append(len(body))
        if scope["path"] == "/login/callback":
            scope["session"]["oauth_info"] = said(scope["query_string"].decode())
        self.at_work += 1
        self.most_at_work = max(self.most_at_work, self.at_work)
        wrong = scope["path"] == LOGIN and body != b"right"
        await send({"type": "http.response.start", "status": 400 if wrong else 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})
        self.at_work -= 1


class Door:
    """A gate, and requests to it as one browser sends them."""

    def __init__(self, folder: Path, **environ: str) -> None:
        self.inner = Inner()
        self.gate = Gate(self.inner, read_settings(folder, environ=environ), lambda: None, folder / "downloads")
        self.session: dict[str, Any] = {}

    async def asked(
        self, method: str, path: str, body: Sequence[bytes] = (), client: str = "127.0.0.1", gone: bool = False,
        query: str = "", **headers: str,
    ) -> int:  # fmt: skip
        """The status of an answer; 0 when there was none."""
        named = {"host": "127.0.0.1:7860", **{name.replace("_", "-"): value for name, value in headers.items()}}
        if body and "transfer-encoding" not in named:
            named.setdefault("content-length", str(sum(map(len, body))))
        left, status = list(body), 0

        async def receive() -> dict[str, Any]:
            if left or (not status and not received):
                received.append(1)
                return {"type": "http.request", "body": left.pop(0) if left else b"", "more_body": bool(left)}
            if not gone:
                await asyncio.Event().wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            nonlocal status
            status = message.get("status", status)

        received: list[int] = []
        scope = {
            "type": "http", "method": method, "path": path, "query_string": query.encode(), "session": self.session,
            "client": (client, 1), "headers": [(name.encode(), value.encode()) for name, value in named.items()],
        }  # fmt: skip
        await self.gate(scope, receive, send)
        return status

    def ask(self, method: str, path: str, **more: Any) -> int:
        return asyncio.run(self.asked(method, path, **more))


def test_files_are_those_that_were_made_to_be_taken(tmp_path: Path) -> None:
    store = RunStore(tmp_path / "runs")
    shown, hidden = (store.create(default_config(), Access(owner="ann", public=public)) for public in (True, False))
    door = Door(tmp_path, **SPACE)
    name, other = (download_name(run.id, "csv") for run in (shown, hidden))
    cache = tmp_path / "downloads"

    def status(file: str) -> int:
        return door.ask("GET", f"/gradio_api/file={file}")

    assert status(f"{cache}/abc/{name}") == 200
    assert status(f"{cache}/abc/{other}") == 404
    assert status(f"{cache}/abc/{answers_name(shown.id, 'parquet')}") == 404, "who may look has not the prompts"
    for place in ("https://evil.example", "https:%2F%2Fevil.example", "//evil.example", "file://", "", ".", "/etc"):
        assert status(f"{place}/{name}") == 404, place
    assert status(name) == status(f"{cache}/../{name}") == status(f"{cache}/%2e%2e/../../{name}") == 404
    assert status(f"https://evil.example{gradio.__path__[0]}/x.svg") == status("https://evil.example/x.svg") == 404
    assert status(f"{gradio.__path__[0]}/icons/x.svg") == 200
    assert status(f"{gradio.__path__[0]}/\0.svg") == status(f"{cache}/\0/{name}") == 404


def test_nothing_is_fetched_for_a_caller(tmp_path: Path) -> None:
    door = Door(tmp_path, **LOCAL)
    for path, expected in (("/tmp/gradio/x/a.csv", 200), ("https://evil.example/a.csv", 403)):
        data = json.dumps({"data": [1, {"deep": [{"path": path, "meta": {"_type": "gradio.FileData"}}]}, path]})
        for body in (data.encode(), data.replace("h", "\\u0068").encode(), data.encode("utf-16")):
            assert door.ask("POST", JOIN, body=[body]) == expected
    assert door.ask("POST", JOIN, body=[b"[" * 100_000]) == 200


@pytest.mark.parametrize("path", [JOIN, LOGIN])
def test_what_is_read_into_memory_is_short(tmp_path: Path, path: str) -> None:
    door = Door(tmp_path, **WITH_PASSWORD)
    chunk = b"x" * 500_000
    fits = 200 if path == JOIN else 413
    assert door.ask("POST", path, body=[chunk] * 4) == fits
    assert door.ask("POST", path, body=[chunk] * 5) == 413
    assert door.ask("POST", path, body=[chunk] * 3, transfer_encoding="chunked") == fits
    assert door.ask("POST", path, body=[chunk] * 90, transfer_encoding="chunked") == 413
    assert door.ask("POST", JOIN) == 200
    assert door.inner.bodies == ([2_000_000, 1_500_000] if path == JOIN else []) + [0]
    assert door.ask("POST", UPLOAD, body=[chunk] * 9) == 200
    assert door.ask("POST", UPLOAD, body=[chunk], transfer_encoding="chunked") == 413
    assert door.ask("POST", UPLOAD, body=[chunk], transfer_encoding="chunked", content_length="5") == 413
    assert door.ask("POST", UPLOAD) == 413


def test_who_has_no_name_cannot_use_up_what_the_others_have(tmp_path: Path) -> None:
    door, others = Door(tmp_path, **SPACE, FTSPACE_USERS="*"), {}
    burst = RATES["call"].burst
    assert burst < 200  # the queue's size
    tried = [door.ask("POST", JOIN) for _ in range(burst + 10)]
    assert tried[:burst] == [200] * burst and tried[-1] == 429
    assert door.ask("POST", "/gradio_api/run/predict") == 429 and door.ask("GET", "/") == 200
    door.session = others
    door.ask("GET", "/login/callback", query="ann")
    assert door.ask("POST", JOIN) == 200


def test_without_sign_in_nothing_is_counted_before_the_password_was_seen(tmp_path: Path) -> None:
    door = Door(tmp_path, **WITH_PASSWORD)
    assert {door.ask("POST", path, body=[b"x"]) for _ in range(130) for path in (JOIN, UPLOAD)} == {200}


@pytest.mark.parametrize(
    ("client", "at_once"), [("127.0.0.1", 8), ("10.0.0.7", 8), ("8.8.8.8", 1), ("2a00::1", 1), ("", 8)]
)
def test_wrong_passwords_wait_and_the_right_one_is_never_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, client: str, at_once: int
) -> None:
    monkeypatch.setattr(web, "WRONG_SECONDS", 0.01)
    door = Door(tmp_path, **WITH_PASSWORD)

    async def many() -> list[int]:
        wrong = [door.asked("POST", LOGIN, body=[b"wrong"], client=client) for _ in range(30)]
        gone = [door.asked("POST", LOGIN, body=[b"wrong"], client=client, gone=True) for _ in range(30)]
        right = [door.asked("POST", LOGIN, body=[b"right"], client=one) for one in (client, "9.9.9.9")]
        return await asyncio.gather(*wrong, *gone, *right)

    assert asyncio.run(many()) == [400] * 30 + [0] * 30 + [200] * 2
    assert door.inner.most_at_work == at_once + 1
    assert len(door.inner.bodies) == 32  # nobody waits for those who went


def test_the_app_can_be_told_under_which_names_it_is_reached(tmp_path: Path) -> None:
    names = "lab.example, https://gpu.example:8443/"
    alone, told = Door(tmp_path, **WITH_PASSWORD), Door(tmp_path, **WITH_PASSWORD, FTSPACE_ORIGINS=names)
    for origin in ("https://lab.example", "http://lab.example", "https://gpu.example:8443"):
        assert (alone.ask("POST", JOIN, origin=origin), told.ask("POST", JOIN, origin=origin)) == (403, 200)
    for origin in ("https://gpu.example", "https://lab.example.evil.example", "https://evil.example"):
        assert told.ask("POST", JOIN, origin=origin) == 403
    named = Door(tmp_path, **LOCAL, FTSPACE_ORIGINS=names)
    assert named.ask("GET", "/", host="lab.example") == 200 and named.ask("GET", "/", host="evil.example") == 403
    for wrong in ("https://", "lab example", "https://lab.example/path", "*"):
        with pytest.raises(ConfigError, match="FTSPACE_ORIGINS"):
            read_settings(tmp_path, environ={"FTSPACE_ORIGINS": wrong})


def test_only_the_page_itself_signs_out(tmp_path: Path) -> None:
    door = Door(tmp_path, **SPACE, FTSPACE_USERS="*")
    door.ask("GET", "/login/callback", query="ann")
    key = dict(door.session)
    assert door.ask("GET", "/logout", sec_fetch_site="cross-site") == 403
    assert door.ask("GET", "/logout", origin="https://evil.example") == 403
    assert door.session == key
    for more in ({"sec_fetch_site": "same-origin"}, {"sec_fetch_site": "none"}, {}):
        door.ask("GET", "/login/callback", query="ann")
        assert door.session != key
        assert door.ask("GET", "/logout", **more) == 200 and door.session == {}
