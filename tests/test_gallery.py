from pathlib import Path

import pytest

from evals.results import read_results, write_results
from ftspace.config import default_config, parse_config
from ftspace.events import EventLog, Finished, Prepared, Progress, Started, Step
from ftspace.gallery import Entry, Index, Query, Show, Sort, query_of, tags_of
from ftspace.labels import Label, write_label
from ftspace.listing import progress
from ftspace.runs import Run, RunStore, take_lock
from tests.finished_run import finished_run

STEP = Step(step=3, epoch=0, loss=1, learning_rate=0, tokens=9, seconds=1)


def tell(run: Run, *events: Started | Finished | Prepared | Progress | Step) -> None:
    log = EventLog(run.events)
    for event in events:
        log.append(event)
    log.close()


@pytest.fixture
def three(store: RunStore) -> dict[str, Run]:
    """One that is better than its base, one that failed, one that waits."""
    better = finished_run(store)
    write_results(better.results, read_results(better.results).model_copy(update={"findings": ()}))
    write_label(better, Label(title="Zebra", tags=("Best", "first"), note="the note of zebra"))
    failed = store.create(parse_config({"model": {"id": "owner/small"}, "data": {"id": "rows/qa"}}))
    tell(failed, Started(job="train", pid=1), Finished(job="train", status="failed", reason="memory", seconds=7))
    write_label(failed, Label(tags=("best",)))
    waits = store.create(default_config())
    waits.ticket.write_text("{}")
    return {"better": better, "failed": failed, "waits": waits}


def found(store: RunStore, runs: dict[str, Run], query: Query, *, notes: bool = True) -> list[str]:
    names = {run.id: name for name, run in runs.items()}
    entries, more = Index().find(store.list(), query, 9, notes=notes)
    assert not more
    return [names[one.run.id] for one in entries]


@pytest.mark.parametrize(
    ("text", "show", "tag", "names"),
    [
        ("", "all", "", {"better", "failed", "waits"}),
        ("", "at work", "", {"waits"}),
        ("", "finished", "", {"better"}),
        ("", "better", "", {"better"}),
        ("", "worse", "", set()),
        ("", "failed", "", {"failed"}),
        ("", "pushed", "", set()),
        ("", "all", "BEST", {"better", "failed"}),
        ("", "failed", "best", {"failed"}),
        ("  SMALL on rows/QA", "all", "", {"failed"}),
        ("zebra base", "all", "", {"better"}),
        ("first", "all", "", {"better"}),
        ("of zebra", "all", "", {"better"}),
        ("zebra small", "all", "", set()),
    ],
)
def test_runs_are_found_by_what_is_said_of_them(
    store: RunStore, three: dict[str, Run], text: str, show: Show, tag: str, names: set[str]
) -> None:
    assert set(found(store, three, Query(text, show, tag))) == names


def test_a_note_is_searched_only_where_it_may_be_read_and_an_id_always(store: RunStore, three: dict[str, Run]) -> None:
    assert found(store, three, Query("of zebra"), notes=False) == []
    assert found(store, three, Query(three["waits"].id[-6:]), notes=False) == ["waits"]


@pytest.mark.parametrize(("sort", "first"), [("verdict", "better"), ("name", "waits")])
def test_runs_are_sorted(store: RunStore, three: dict[str, Run], sort: Sort, first: str) -> None:
    assert found(store, three, Query(sort=sort))[0] == first


def test_pages_are_as_long_as_was_asked_and_say_whether_there_are_more(store: RunStore, three: dict[str, Run]) -> None:
    for query in (Query(), Query(sort="name")):
        entries, more = Index().find(store.list(), query, 2)
        assert len(entries) == 2 and more
    assert tags_of(three.values()) == ["Best", "first"]


def test_what_is_kept_in_mind_is_told_anew_when_the_run_changes(store: RunStore, three: dict[str, Run]) -> None:
    index, run = Index(), three["better"]

    def entry() -> Entry:
        return index.entry(run)

    assert entry() is entry() and (entry().outcome, entry().pushed, entry().seconds) == ("better", False, 2400)
    write_label(run, Label(title="Other"))
    assert (entry().title, entry().made) == ("Other", "base on people")
    (run.path / "push" / "adapter").mkdir(parents=True)
    (run.path / "push" / "adapter" / "record.json").touch()
    assert entry().pushed
    run.results.write_text("{")
    assert entry().words == "Its results cannot be read."
    tell(run, Started(job="evaluate", pid=1))
    assert entry().status == "interrupted"
    lock = take_lock(run.lock)
    assert lock is not None and entry().status == "running" and entry().is_at_work
    (run.path / "config.json").write_text("{")
    assert index.entry(Run(run.path)).status is None


def test_a_run_at_work_says_how_far_it_is(store: RunStore) -> None:
    run = store.create(default_config())
    prepared = Prepared(
        rows={}, format="messages", total_steps=12, trainable_parameters=1, parameters=2, device="cpu", dtype="float32"
    )
    said = [progress(run)]
    asked = Progress(task="heldout", which="base", done=30, total=184)
    for events in ([Started(job="train", pid=1)], [prepared], [STEP] * 200, [Started(job="evaluate", pid=1)], [asked]):
        tell(run, *events)
        said.append(progress(run))
    assert said == [
        ("Getting ready", None),
        ("Getting ready", None),
        ("Training: before the first step", 0.0),
        ("Training: step 3 of 12", 0.25),
        ("Comparing base and tuned", None),
        ("Comparing: asking the base, Held-out rows, 30 of 184", None),
    ]
    assert progress(Run(Path("/nowhere")))[0] == "Running"


def test_what_a_page_sends_is_a_query_whatever_it_is() -> None:
    assert query_of("a", "tag:b", "name") == Query("a", "all", "b", "name")
    assert query_of(None, "nothing", 7) == Query() and query_of("", "", "").is_open
    assert len(query_of("x" * 10_000, [], {}).text) == 200
