import os
import time
from pathlib import Path

import pytest

from ftspace.config import default_config
from ftspace.errand import _merge  # pyright: ignore[reportPrivateUsage]
from ftspace.errands import Errand, Import, Merge, State
from ftspace.errors import JobError
from ftspace.runs import RunStore, is_held, take_lock
from ftspace.settings import OFFLINE
from ftspace.slots import hold_slot, slots_of

ASKED = Import(repo_id="me/tuned", runs_dir="/nowhere")


def test_how_an_errand_stands_is_read_from_its_folder(tmp_path: Path) -> None:
    errand = Errand(tmp_path / "errand")
    assert errand.state() == State() and errand.request is None
    with pytest.raises(JobError, match="not at work"):
        errand.stop()
    errand.folder.mkdir()
    lock = take_lock(errand.lock)
    assert lock is not None
    assert errand.state().status == "working"
    with pytest.raises(JobError, match="still at work"):
        errand.begin(ASKED)
    errand.write(State(status="working", said="fetching", done=1, total=4))
    errand.stop()
    errand.forget()
    assert errand.state() == State(status="stopping", said="fetching", done=1, total=4)
    os.close(lock)
    gone = errand.state()
    assert gone.status == "failed" and "process is gone" in gone.said
    errand.forget()
    assert errand.state() == State()
    errand.request_path.write_text('{"kind": "import", "repo_id": 5}')
    assert errand.request is None


def test_an_errand_says_how_it_ended_and_holds_no_token(tmp_path: Path) -> None:
    errand = Errand(tmp_path / "errand")
    token = "hf_" + "x" * 30
    errand.begin(Merge(run=str(tmp_path / "no-run"), out=str(tmp_path / "out")), token, {**os.environ, **OFFLINE})
    until = time.monotonic() + 60
    while errand.state().is_at_work:
        assert time.monotonic() < until
        time.sleep(0.05)
    state = errand.state()
    assert state.status == "failed" and "no readable config.json" in state.said, (state, errand.folder)
    assert not any(token in path.read_text() for path in errand.folder.iterdir())


def test_a_merge_has_the_machine_to_itself(store: RunStore) -> None:
    run = store.create(default_config())
    asked = Merge(run=str(run.path), out=str(run.merged))
    (run.merged / "of an earlier adapter").mkdir(parents=True)
    with hold_slot(store.runs_dir, lambda: None), pytest.raises(JobError, match="at work on a run"):
        _merge(asked, lambda *_: None)
    assert run.merged.is_dir()
    (run.merged.parent / ".lock").unlink()  # held until a process ends, which is this one here
    told: list[str] = []

    def tell(said: str, *_: int) -> None:
        told.append(said)
        assert all(is_held(slot.lock) for slot in slots_of(store.runs_dir)[:1]) and not run.merged.exists()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _merge(asked, tell)
    assert told == ["loading libraries"]
