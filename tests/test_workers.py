import errno
from collections.abc import Callable

import pytest
from safetensors import SafetensorError

from ftspace.config import RunConfig
from ftspace.errors import ConfigError, DatasetError, DivergedError, EvalError, HubError, ModelError
from ftspace.events import EndStatus, Finished, Started
from ftspace.runs import RunReader, RunStore
from ftspace.workers import Job, Stopped, run_job


def raising(error: BaseException) -> Callable[[Job], EndStatus]:
    def work(job: Job) -> EndStatus:
        raise error

    return work


def behind(error: Exception, cause: Exception) -> Callable[[Job], EndStatus]:
    def work(job: Job) -> EndStatus:
        raise error from cause

    return work


@pytest.mark.parametrize(
    ("work", "adapter", "code", "status", "reason", "words"),
    [
        (lambda job: "finished", True, 0, "finished", "", ""),
        (lambda job: "cancelled", True, 1, "cancelled", "", "is saved"),
        (raising(Stopped()), False, 1, "cancelled", "", "nothing was saved yet"),
        (raising(Stopped()), True, 1, "cancelled", "", "the adapter is saved"),
        (raising(DatasetError("no rows; give some")), False, 2, "failed", "dataset", "no rows; give some"),
        (raising(MemoryError("all gone")), False, 1, "failed", "memory", "micro_batch_tokens"),
        (raising(OSError(errno.ENOSPC, "No space left")), False, 1, "failed", "disk", "make room"),
        (
            raising(SafetensorError("I/O error: No space left on device (os error 28)")),
            False,
            1,
            "failed",
            "disk",
            "go on",
        ),
        (
            raising(RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 64")),
            False,
            1,
            "failed",
            "disk",
            "",
        ),
        (
            behind(DatasetError("rows.jsonl cannot be kept"), OSError(errno.EDQUOT, "Quota")),
            False,
            2,
            "failed",
            "disk",
            "go on",
        ),
        (
            behind(EvalError("the log cannot be written"), OSError(errno.EROFS, "Read-only")),
            False,
            2,
            "failed",
            "disk",
            "go on",
        ),
        (
            behind(ModelError("cannot be loaded"), RuntimeError("[enforce] DefaultCPUAllocator: can't allocate")),
            False,
            2,
            "failed",
            "memory",
            "micro_batch",
        ),
        (raising(ModelError("the model x/y is gated: ask for access")), False, 2, "failed", "model", "ask for access"),
        (raising(HubError("the Hub cannot be asked")), False, 2, "failed", "hub", "cannot be asked"),
        (raising(DivergedError("loss became nan at step 7")), False, 2, "failed", "nan_loss", "step 7"),
        (raising(ConfigError("train.max_cost: no price")), False, 2, "failed", "config", "max_cost"),
        (raising(RuntimeError("two\nlines")), False, 1, "failed", "error", "RuntimeError: two"),
    ],
)
def test_however_work_ends_the_run_says_so(
    store: RunStore,
    monkeypatch: pytest.MonkeyPatch,
    work: Callable[[Job], EndStatus],
    adapter: bool,
    code: int,
    status: EndStatus,
    reason: str,
    words: str,
) -> None:
    monkeypatch.setattr("ftspace.workers.signal.signal", lambda *_: None)
    run = store.create(RunConfig())
    if adapter:
        run.adapter.mkdir()
    assert run_job(run, "train", work) == code
    first, last = RunReader(run).refresh()
    assert isinstance(first, Started) and first.versions["torch"]
    assert isinstance(last, Finished) and (last.status, last.reason) == (status, reason)
    assert words in last.message and "\n" not in last.message


def test_a_stop_with_a_checkpoint_and_a_full_disk_say_how_to_go_on(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ftspace.workers.signal.signal", lambda *_: None)
    for error in (Stopped(), OSError(errno.ENOSPC, "No space left")):
        run = store.create(RunConfig())
        for step in (9, 1_000_000):
            (run.checkpoints / f"step-{step:06d}").mkdir(parents=True)
        run_job(run, "train", raising(error))
        last = RunReader(run).refresh()[-1]
        assert isinstance(last, Finished)
        assert f"go on from the checkpoint of step 1000000: ftspace runs resume {run.id}" in last.message
