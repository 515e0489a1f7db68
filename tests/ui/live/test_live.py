"""The address that open pages ask, and what stands behind it, over a real HTTP stack but without Gradio's page."""

import gzip
import json
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from ftspace.access import LOCAL, NOBODY, OWNER, Access, Visitor
from ftspace.config import default_config
from ftspace.events import Event, EventLog, Finished, Prepared, Resumed, Started, Step, Validation
from ftspace.runs import Run, RunStore
from ftspace.settings import Settings
from ftspace.ui.live import following, live
from ftspace.ui.live.following import Follower, Followers
from ftspace.ui.live.live import LATEST, SOONEST, LiveView, Turns

PREPARED = Prepared(
    rows={"train": 9}, format="messages", total_steps=100, trainable_parameters=1, parameters=2, device="cpu",
    dtype="float32",
)  # fmt: skip
EVIL = "<img src=x onerror=alert(1)>"


def step(number: int) -> Step:
    return Step(step=number, epoch=0, loss=1 / number, learning_rate=0, tokens=number, seconds=2.0 * number)


def tell(run: Run, *events: Event) -> None:
    log = EventLog(run.events)
    for event in events:
        log.append(event)
    log.close()


@pytest.fixture
def run(store: RunStore) -> Run:
    run = store.create(default_config())
    tell(run, Started(job="train", pid=1), PREPARED, *(step(number) for number in range(1, 43)))
    return run


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every look is a fresh one."""
    monkeypatch.setattr(following, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(following, "LONGEST_SECONDS", 0.0)


@pytest.fixture
def app(store: RunStore) -> FastAPI:
    """What is there of Gradio's app for the address to stand in."""
    settings = Settings(store.runs_dir.parent, "127.0.0.1", 7860, None, hub_token=False, space_id=None)
    app: Any = FastAPI(routes=[LiveView(Followers(store, lambda run: None), settings).route])
    app.auth = app.auth_dependency = None
    app.cookie_id, app.tokens = "x", {}
    return app


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app) as client:
        yield client


def test_news_come_once_and_then_only_when_there_are_some(client: TestClient, run: Run, looked: None) -> None:
    first = client.get(f"/live/{run.id}")
    told = first.json()
    assert first.headers["content-encoding"] == "gzip"
    assert first.headers["cache-control"] == "no-store"
    assert (told["status"], told["over"], told["known"]) == ("interrupted", True, "interrupted 0 0")
    assert told["title"] == "Interrupted · people · ftspace"
    assert "at step 42" in told["html"]
    same = client.get(f"/live/{run.id}?seen={told['tag']}")
    assert (same.status_code, same.content) == (204, b"")
    assert float(same.headers["next-ms"]) >= 1000 * SOONEST
    tell(run, step(43))
    newer = client.get(f"/live/{run.id}?seen={told['tag']}").json()
    assert "at step 43" in newer["html"]
    assert newer["tag"] != told["tag"]
    plain = client.get(f"/live/{run.id}", headers={"accept-encoding": "identity"})
    assert plain.json() == newer
    assert "content-encoding" not in plain.headers


@pytest.mark.parametrize("run_id", ["20200101-000000-000000000000", "..", "x", "%2e%2e%2f%2e%2e", "a" * 3000])
def test_what_is_no_run_is_not_found(client: TestClient, run: Run, run_id: str) -> None:
    assert client.get(f"/live/{run_id}").status_code == 404


def test_a_run_that_goes_is_not_found_any_more(client: TestClient, store: RunStore, run: Run, looked: None) -> None:
    assert client.get(f"/live/{run.id}").status_code == 200
    store.delete(run.id)
    assert client.get(f"/live/{run.id}").status_code == 404


@pytest.mark.parametrize(
    ("visitor", "owner", "public", "status"),
    [
        (OWNER, LOCAL, False, 200),
        (NOBODY, LOCAL, False, 404),
        (NOBODY, LOCAL, True, 200),
        (Visitor("ada", may_start=True), "ada", False, 200),
        (Visitor("eve", may_start=True), "ada", False, 404),
    ],
)
def test_only_those_who_may_see_a_run_are_told_of_it(
    client: TestClient, store: RunStore, monkeypatch: pytest.MonkeyPatch,
    visitor: Visitor, owner: str, public: bool, status: int,
) -> None:  # fmt: skip
    monkeypatch.setattr(live, "visitor_of", lambda request, settings: visitor)
    run = store.create(default_config(), Access(owner=owner, public=public))
    answer = client.get(f"/live/{run.id}")
    assert answer.status_code == status
    assert (answer.content == b"") == (status == 404)


def test_pages_of_visitors_without_a_name_put_nobody_else_off(
    client: TestClient, store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = store.create(default_config(), Access(owner="ada", public=True))
    waits = list[float]()
    for visitor, times in ((NOBODY, 100), (Visitor("ada", may_start=True), 1)):
        monkeypatch.setattr(live, "visitor_of", lambda request, settings, sent_by=visitor: sent_by)
        waits.append(max(float(client.get(f"/live/{run.id}").headers["next-ms"]) for _ in range(times)))
    assert waits[0] > 1000 * SOONEST == waits[1]


def test_the_password_is_asked_for(client: TestClient, app: Any, run: Run) -> None:
    app.auth, app.tokens = {"ftspace": "secret"}, {"token": "ftspace"}
    assert client.get(f"/live/{run.id}").status_code == 401
    client.cookies.set("access-token-unsecure-x", "wrong")
    assert client.get(f"/live/{run.id}").status_code == 401
    client.cookies.set("access-token-unsecure-x", "token")
    assert client.get(f"/live/{run.id}").status_code == 200
    app.auth_dependency = lambda request: None
    assert client.get(f"/live/{run.id}").status_code == 401


def test_many_pages_are_told_to_come_one_after_the_other() -> None:
    turns = Turns(rate=40)
    alone = Turns(rate=40)
    assert [alone.take(now) for now in (0.0, 1.0, 2.0)] == [SOONEST] * 3
    due = sorted(turns.take(0.0) for _ in range(400))
    assert due[0] == SOONEST
    assert due[-1] == pytest.approx(SOONEST + 399 / 40)
    assert max(sum(begin <= one < begin + 1 for one in due) for begin in range(12)) <= 41
    assert turns.take(60.0) == SOONEST  # those who went leave nothing behind
    assert max(turns.take(60.0) for _ in range(10_000)) == LATEST


def test_a_run_is_read_once_however_many_look(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    follower = Follower(run, lambda run: None)
    monkeypatch.setattr(following, "live", _counted(made, following.live))
    threads = [threading.Thread(target=follower.look) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [1]
    assert follower.at_hand is follower.look()
    follower.void()
    assert follower.at_hand is None


def test_what_is_long_out_of_date_is_given_to_nobody(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    follower, begun, may_end = Follower(run, lambda run: None), threading.Event(), threading.Event()
    first, make = follower.look(), following.live

    def slow(*given: Any) -> Any:
        begun.set()
        assert may_end.wait(10)
        return make(*given)

    monkeypatch.setattr(following, "live", slow)
    follower.void()
    looking = threading.Thread(target=follower.look)
    looking.start()
    assert begun.wait(10)
    assert follower.at_hand is first  # a moment old: who comes now need not wait
    monkeypatch.setattr(following, "OLD_SECONDS", 0.0)
    assert follower.at_hand is None
    may_end.set()
    looking.join()


def _counted(made: list[int], work: Any) -> Any:
    def counting(*given: Any) -> Any:
        made.append(1)
        return work(*given)

    return counting


def test_runs_that_nobody_asks_for_are_forgotten(store: RunStore, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(following, "time", SimpleNamespace(monotonic=lambda: clock.now, time=lambda: clock.now))
    followers = Followers(store, lambda run: None)
    other = store.create(default_config())
    first = followers.of(run.id)
    clock.now = following.KEEP_SECONDS - 1
    assert followers.of(run.id) is first
    clock.now += following.KEEP_SECONDS + 1
    followers.of(other.id)
    assert followers.of(run.id) is not first


def test_the_text_of_models_stays_text(store: RunStore) -> None:
    run = store.create(default_config())
    tell(run, Started(job="train", pid=1), Finished(job="train", status="failed", message=EVIL))
    made = Follower(run, lambda run: None).look()
    assert EVIL not in made.html
    assert "&lt;img" in made.html
    assert json.loads(gzip.decompress(made.zipped)) == json.loads(made.plain)


@pytest.mark.parametrize(
    ("events", "checkpoint", "words"),
    [
        ([], None, "Begin again"),
        ([Started(job="train", pid=1), PREPARED, step(9)], 8, "Go on from step 8"),
        ([Started(job="train", pid=1), Finished(job="train", status="finished")], 8, "Go on with the comparison"),
        (
            [Finished(job="train", status="finished"), Finished(job="evaluate", status="finished")],
            8,
            "",
        ),
    ],
)
def test_a_run_that_ended_early_says_how_it_goes_on(
    store: RunStore, events: list[Event], checkpoint: int | None, words: str
) -> None:
    run = store.create(default_config())
    tell(run, *events)
    if checkpoint is not None:
        (run.checkpoints / f"step-{checkpoint}").mkdir(parents=True)
        (run.checkpoints / "step-3").mkdir()
    assert Follower(run, lambda run: None).look().go_on == words


def test_a_run_that_is_resumed_is_drawn_from_its_checkpoint_on(run: Run, looked: None) -> None:
    follower = Follower(run, lambda run: None)
    follower.look()
    tell(run, Resumed(step=10), Validation(step=10, loss=7.5), step(11))
    html = follower.look().html
    assert "to 0.091 at step 11" in html
    assert "validation loss 7.500 at step 10" in html


def test_all_numbers_are_a_file_for_those_who_may_see_the_run(client: TestClient, run: Run, monkeypatch: Any) -> None:
    answer = client.get(f"/live/{run.id}?as=csv")
    assert answer.headers["content-disposition"] == f'attachment; filename="steps-{run.id}.csv"'
    assert len(answer.text.splitlines()) == 43 and answer.text.startswith("step,epoch,loss,")
    monkeypatch.setattr(live, "visitor_of", lambda request, settings: NOBODY)
    assert client.get(f"/live/{run.id}?as=csv").status_code == 404
