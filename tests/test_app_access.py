"""The live app as a Space with sign-in, over HTTP: two owners, and intruders who call everything that can be called."""

import base64
import hashlib
import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import itsdangerous
import pytest

from ftspace.config import default_config
from ftspace.exporting import KINDS
from ftspace.runs import RunStore
from ftspace.settings import ROOT, worker_env
from ftspace.ui.limits import RATES
from ftspace.ui.web import SHARED_LINES, WRONG_SECONDS
from tests.loopback_hub import LoopbackHub, serve
from tests.loopback_hub.sign_in import CLIENT_SECRET, environment
from tests.two_owners import TASK, Caller, Owner, snapshot

ALSO = {"FTSPACE_USERS": "ann,ben", "HF_TOKEN": "hf_ofTheSpace"}
ASKED = {"Task": TASK, "Compare": "base", "With": "tuned"}
TABS = ("rows", "tokens", "columns", "checks", "review")


@contextmanager
def running(data_dir: Path, log: Path, **env: str) -> Generator[str]:
    """`python app.py` as a process of its own; gives its address at once, before it answers there."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    command = [sys.executable, "app.py", "--data-dir", str(data_dir), "--port", str(port)]
    plain = worker_env(offline=True) | {"FTSPACE_WARM": "0", "FTSPACE_HOST": "127.0.0.1"} | env
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=ROOT, env=plain, stdout=out, stderr=out)
    yield f"http://127.0.0.1:{port}"
    process.send_signal(signal.SIGKILL)
    process.wait()


@pytest.fixture(scope="module")
def http() -> Iterator[httpx2.Client]:
    with httpx2.Client(trust_env=False, timeout=60) as client:
        yield client


def await_answer(http: httpx2.Client, url: str, log: Path) -> None:
    until = time.monotonic() + 90
    while True:
        assert time.monotonic() < until, log.read_text()
        try:
            http.get(url)
            return
        except httpx2.TransportError:
            time.sleep(0.1)


@dataclass(frozen=True)
class Space:
    """A live Space: its address, and who owns what there."""

    url: str
    browsers: ExitStack
    data_dir: Path
    ann: Owner
    ben: Owner
    shown: Owner

    def caller(self, user: str = "") -> Caller:
        """A browser of its own, signed in when a user is named."""
        caller = Caller(self.url, self.browsers.enter_context(httpx2.Client(trust_env=False, timeout=60)))
        if user:
            caller.sign_in(user)
        return caller


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory, http: httpx2.Client) -> Iterator[Space]:
    folder = tmp_path_factory.mktemp("space")
    data_dir = folder / "data"
    owners = [Owner.settle(name, data_dir, public=name == "zoe") for name in ("ann", "ben", "zoe")]
    with (
        serve(LoopbackHub(folder / "hub")) as provider,
        running(data_dir, folder / "log", **environment(provider), **ALSO) as url,
        owners[0].at_work(),
        ExitStack() as browsers,
    ):
        await_answer(http, url, folder / "log")
        yield Space(url, browsers, data_dir, *owners)


@dataclass(frozen=True)
class Handles:
    """What /config says: the calls, and the widgets that hold names."""

    config: dict[str, Any]

    @property
    def calls(self) -> list[dict[str, Any]]:
        return self.config["dependencies"]

    def props(self, widget: int) -> dict[str, Any]:
        return next(one for one in self.config["components"] if one["id"] == widget)

    def call_of(self, elem_id: str, event: str) -> int:
        """The call that a widget's event makes."""
        widget = self.widget(elem_id)
        return next(one["id"] for one in self.calls if [widget, event] in [list(target) for target in one["targets"]])

    @property
    def load(self) -> int:
        return next(
            one["id"] for one in self.calls if any(t[1] == "load" for t in one["targets"]) and len(one["outputs"]) > 50
        )

    def widget(self, elem_id: str) -> int:
        """The widget of a name."""
        return next(one["id"] for one in self.config["components"] if one["props"].get("elem_id") == elem_id)

    def load_of(self, elem_id: str) -> int:
        """The call that fills a widget when a page is opened, and not many others."""
        widget = self.widget(elem_id)
        loads = [one for one in self.calls if any(t[1] == "load" for t in one["targets"])]
        return next(one["id"] for one in loads if widget in one["outputs"] and len(one["outputs"]) < 50)

    @property
    def gallery(self) -> int:
        return self.load_of("gallery-list")

    @property
    def several(self) -> int:
        """The call that fills the comparison of several runs, which the page makes where its address asks for one."""
        widget = self.widget("several")
        return next(one["id"] for one in self.calls if one["outputs"] == [widget])

    @property
    def hidden(self) -> list[int]:
        """The widgets of the open run, its origin, the dataset that was looked at, its review and the open tab."""
        texts = [one for one in self.config["components"] if one["type"] == "textbox"]
        return [one["id"] for one in texts if one["props"].get("visible") is False][:5]

    def of_label(self, label: str) -> int:
        return next(one["id"] for one in self.config["components"] if one["props"].get("label") == label)

    def values(self, call: dict[str, Any], **said: Any) -> list[Any]:
        """The arguments of a call: its widgets' own values, but for those that are given by the widget's id."""
        given = {int(name[1:]): value for name, value in said.items()}
        return [given.get(widget, self.props(widget)["props"].get("value")) for widget in call["inputs"]]

    def tries(self, call: dict[str, Any], victim: Owner, *, thorough: bool) -> list[list[Any]]:
        """Ways to name what is the victim's in a call."""
        run_id, origin, about, review, tab = self.hidden
        named = {f"w{run_id}": victim.run.id, f"w{origin}": victim.run.id, f"w{review}": victim.review}
        named |= {f"w{self.of_label(label)}": said for label, said in ASKED.items()}
        data = f"w{self.of_label('Dataset')}"
        upload = {data: str(victim.upload), f"w{about}": str(victim.upload)}
        folder = {data: str(victim.run.data), f"w{about}": str(victim.run.data), f"w{run_id}": ""}
        found = [self.values(call, **named), self.values(call, **named, **upload)]
        if thorough:
            found.append(self.values(call, **named | folder))
        if thorough and call == next(one for one in self.calls if tab in one["inputs"]):
            found += [self.values(call, **named, **upload, **{f"w{tab}": one}) for one in TABS]
        texts = ("textbox", "dropdown", "radio", "api")
        kinds = [self.props(widget)["type"] for widget in call["inputs"]]
        found.append([victim.run.id if kind in texts else None for kind in kinds])
        asked = self.widget("gallery-asked")
        if asked in call["inputs"]:
            for act in ("label", "delete", "restore"):
                said = json.dumps({"do": act, "run": victim.run.id, "title": "mine now", "page": act == "label"})
                found.append(self.values(call, **{f"w{asked}": said}))
        file = {"path": str(victim.upload), "meta": {"_type": "gradio.FileData"}}
        found += [[file if kind == "uploadbutton" else None for kind in kinds]] * ("uploadbutton" in kinds)
        return found


def attack(caller: Caller, handles: Handles, victim: Owner, shown: Owner, *, may_start: bool) -> None:
    """Calls everything there is in the victim's name, from a session in which another run is open."""
    start = handles.call_of("start", "click")
    caller.call(handles.load, [], f"?run={shown.run.id}")
    for query in (f"?run={victim.run.id}", f"?from={victim.run.id}"):
        caller.call(handles.load, [], query)
        caller.send("GET", f"/{query}")
    event = {"index": [0, 0], "value": "0", "row_value": ["0"]}
    for call in handles.calls:
        tries = handles.tries(call, victim, thorough=may_start)
        if call["id"] == start and may_start:  # but for those that would rightly start a run of the caller's own
            tries = tries[1:3]
        for data in tries:
            trigger = call["targets"][0][0] if call["targets"] else None
            caller.join(call["id"], data, f"?run={victim.run.id}", trigger_id=trigger, event_data=event)
        caller.answers()


def counted(callers: list[Caller], secrets_: list[str]) -> int:
    """Answers with a secret in them."""
    return sum(any(secret in text for secret in secrets_) for caller in callers for text in caller.heard)


def test_nobody_sees_or_changes_what_is_anothers(space: Space, capsys: pytest.CaptureFixture[str]) -> None:
    ann = space.caller("ann")
    handles = Handles(ann.config())
    opened = ann.call(handles.load, [], f"?run={space.ann.run.id}")
    assert opened.count(space.ann.secret) > 5 and "NOTHING-TO-HIDE" not in opened
    files = sorted(set(re.findall(r'"path": ?"([^"]+/results-[^"]+)"', opened)))
    assert len(files) == 3 and all(space.ann.secret in ann.file(path).text for path in files)
    for address in (f"/live/{space.ann.run.id}", f"/report/{space.ann.run.id}"):
        assert space.ann.secret in ann.send("GET", address).text

    before = snapshot(space.data_dir)
    names = ("", "carl", "ben")
    intruders = [space.caller(name) for name in names]

    def intrude(caller: Caller, name: str) -> None:
        attack(caller, handles, space.ann, space.shown, may_start=name == "ben")
        for path in [*files, str(space.ann.upload), str(space.ann.run.path / "config.json"), str(space.ann.run.log)]:
            caller.file(path)
            caller.send("GET", f"/file={path}")
            caller.send("GET", f"/gradio_api/file/{path}")
        caller.call(handles.call_of("news", "click"), [space.ann.run.id, None], session=ann.session)
        for address in (f"/live/{space.ann.run.id}", f"/report/{space.ann.run.id}"):
            assert caller.send("GET", address).status_code == 404
        for kind in KINDS:
            assert caller.send("GET", f"/export/{space.ann.run.id}/{kind}").status_code == 404
        caller.send("GET", f"/gradio_api/deep_link?session_hash={ann.session}")

    with ThreadPoolExecutor(len(names)) as threads:  # each may call so and so often
        list(threads.map(intrude, intruders, names))
    intruders[0].call(handles.load, [], f"?run={space.ben.run.id}")
    for secret_key in ("", CLIENT_SECRET):  # even who knows the key that signs cookies is nobody
        forged = space.caller()
        said = {
            "userinfo": {"preferred_username": "ann"},
            "access_token": "x",
            "expires_at": 9e9,
            "key": "x",
        }
        signer = itsdangerous.TimestampSigner(hashlib.sha256(f"{secret_key}-v4".encode()).hexdigest())
        forged.cookie = f"session={signer.sign(base64.b64encode(json.dumps({'oauth_info': said}).encode())).decode()}"
        intruders.append(forged)
        forged.call(handles.load, [], f"?run={space.ann.run.id}")
        forged.send("GET", f"/live/{space.ann.run.id}")
        forged.send("GET", f"/report/{space.ann.run.id}")
        forged.call(handles.call_of("stop", "click"), [space.ann.run.id])
    stale = space.caller("ann")
    stale_cookie = stale.cookie
    stale.send("GET", "/logout")
    stale.cookie = stale_cookie
    stale.heard.clear()
    intruders.append(stale)
    stale.call(handles.load, [], f"?run={space.ann.run.id}")

    ben = [intruders[2]]
    others = [one for one in intruders if one not in ben]
    leaked = counted(ben, [space.ann.secret]) + counted(others, [space.ann.secret, space.ben.secret])
    after = snapshot(space.data_dir)
    differing = {path for path in before | after if before.get(path) != after.get(path)}
    changed = {path for path in differing if not path.startswith("reviews/ben/")}
    tired = counted(intruders, [f"too many {rate.words}" for rate in RATES.values()])
    calls = sum(one.calls for one in intruders)
    tokens = counted([ann, *intruders], ["hf_oauth_", "hf_ofTheSpace", base64.b64encode(b"hf_oauth")[:9].decode()])
    with capsys.disabled():
        sys.stdout.write(f"\n{calls} calls, {leaked} leaked, {len(changed)} changed, {tokens} tokens\n")
    assert (leaked, changed, tired, tokens) == (0, set(), 0, 0)
    assert calls > 300


def test_what_is_shown_can_be_seen_and_not_changed(space: Space) -> None:
    ann, nobody = space.caller("ann"), space.caller()
    handles = Handles(ann.config())
    share, stop = handles.call_of("share-run", "input"), handles.call_of("stop", "click")
    run = space.ann.run
    run_id = run.id

    def seen_by_nobody() -> int:
        return nobody.call(handles.load, [], f"?run={run.id}").count(space.ann.secret)

    assert (
        "Signed in as ann" in ann.call(handles.load, [])
        and "Duplicate this Space" in nobody.send("GET", "/config").text
    )
    assert "zoe" not in nobody.call(handles.load, []) and "zoe" not in nobody.call(handles.gallery, [])
    assert space.shown.run.id in nobody.call(handles.gallery, []) and run_id not in nobody.call(handles.gallery, [])
    assert run_id in ann.call(handles.gallery, []) and "data-act" not in nobody.call(handles.gallery, [])
    both = f"?compare={run_id},{space.shown.run.id},{space.ben.run.id}"
    assert "2 runs are left out" in nobody.call(handles.several, [], both)
    ann.call(share, [run.id, True])
    assert seen_by_nobody() > 5 and nobody.send("GET", f"/live/{run.id}").status_code == 200
    taken = {kind: nobody.send("GET", f"/export/{run.id}/{kind}").status_code for kind in KINDS}
    assert taken == dict.fromkeys(KINDS, 404) | {"answers": 200}
    assert space.ann.secret in ann.send("GET", f"/export/{run.id}/config").text
    page = nobody.send("GET", f"/report/{run.id}")
    assert page.status_code == 200 and space.ann.secret in page.text and "<script" not in page.text
    assert "attachment" in nobody.send("GET", f"/report/{run.id}?download=1").headers["content-disposition"]
    nobody.call(share, [run.id, False])
    assert "only the owner" in nobody.call(stop, [run.id])
    said = ["", "", "", "", 8, 0, 1, True, 0]
    assert "sign in first" in nobody.call(handles.call_of("send", "click"), [run.id, "Who?", None, *said])
    assert "sign in first" in nobody.call(handles.call_of("ask-all", "click"), [run.id, "", "Who?", *said])
    assert run.access.public and not run.stop_flag.exists()
    ann.call(share, [run.id, False])
    assert {nobody.send("GET", f"/{page}/{run.id}").status_code for page in ("live", "report")} == {404}
    assert seen_by_nobody() == 0 and "There is no run" in nobody.call(handles.load, [], f"?run={run.id}")
    ann.call(stop, [run.id])
    assert run.stop_flag.exists()
    run.stop_flag.unlink()


def test_pages_of_other_sites_and_what_the_page_does_not_use_are_refused(space: Space) -> None:
    ann = space.caller("ann")
    handles = Handles(ann.config())
    body = {"data": [], "fn_index": handles.load, "session_hash": "abc"}
    port = space.url.rpartition(":")[2]

    def status(method: str, path: str, **headers: str) -> int:
        json_body = {"json": body} if method == "POST" else {}
        return ann.send(method, path, headers=headers, **json_body).status_code

    join = "/gradio_api/queue/join"
    for origin in ("https://evil.example", "null", "http://127.0.0.1:1", f"http://127.0.0.1.evil.example:{port}"):
        assert status("POST", join, origin=origin) == 403
        assert status("GET", "/config", origin=origin) == 403
    assert status("POST", join, origin=space.url) == 200
    assert status("GET", "/", host=f"evil.example:{port}") == 403
    for path in ("/gradio_api/call/look", "/gradio_api/vibe-code/", "/gradio_api/run/look", "/monitoring/summary"):
        assert status("GET", path) == 404
    for url in ("https://example.com/x", f"https://example.com/results-{space.shown.run.id}.csv"):
        assert status("GET", f"/gradio_api/file={url}") == 404
    assert status("GET", "/logout", **{"sec-fetch-site": "cross-site"}) == 403
    assert ann.send("POST", join, content=b" " * 2_000_001).status_code == 413
    upload = {"files": ("rows.jsonl", b'{"question": "a", "answer": "b"}\n')}
    assert space.caller().send("POST", "/gradio_api/upload", files=upload).status_code == 403
    kept = ann.send("POST", "/gradio_api/upload", files=upload)
    assert kept.status_code == 200 and ann.file(kept.json()[0]).status_code == 404
    answer = ann.send("GET", "/")
    assert "frame-ancestors 'self' https://huggingface.co" in answer.headers["content-security-policy"]


def test_a_password_guards_every_call(tmp_path: Path, http: httpx2.Client) -> None:
    log = tmp_path / "log"
    run = RunStore(tmp_path / "data" / "runs").create(default_config())
    with running(tmp_path / "data", log, FTSPACE_HOST="0.0.0.0", FTSPACE_PASSWORD="a long password") as url:
        await_answer(http, url, log)
        guest, owner = Caller(url, http), Caller(url, http)
        said = {"username": "ftspace", "password": "a long password"}
        wrong = said | {"password": "no"}
        assert "dependencies" in guest.send("GET", "/").text and guest.send("GET", "/config").status_code == 401
        assert owner.send("POST", "/login", data=said).status_code == 200
        calls = owner.config()["dependencies"]
        assert calls and {guest.join(call["id"], []).status_code for call in calls} == {401}
        assert guest.send("GET", "/gradio_api/queue/data?session_hash=x").status_code == 401
        assert guest.send("POST", "/gradio_api/upload", files={"files": b"x"}).status_code == 401
        assert guest.file(str(tmp_path / "log")).status_code == 404
        assert guest.send("GET", f"/report/{run.id}").status_code == 401
        assert {guest.send("GET", f"/export/{run.id}/{kind}").status_code for kind in KINDS} == {401}
        assert "Nothing was compared" in owner.send("GET", f"/report/{run.id}").text
        with ThreadPoolExecutor(SHARED_LINES * 2) as threads:
            tries = [threads.submit(guest.send, "POST", "/login", data=wrong) for _ in range(SHARED_LINES * 2)]
            begun = time.monotonic()
            assert owner.send("POST", "/login", data=said).status_code == 200
            assert {one.result().status_code for one in tries} == {400}
            assert time.monotonic() - begun > WRONG_SECONDS * 1.5
