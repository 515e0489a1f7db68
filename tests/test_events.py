import json
import math
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftspace.events import EventLog, Finished, Started, Step, Warned, parse_event, read_events

NUMBERS = st.floats(allow_nan=True, allow_infinity=True)


def step(number: int, loss: float = 1.0) -> Step:
    return Step(step=number, epoch=0.1, loss=loss, learning_rate=1e-4, tokens=10 * number, seconds=0.5 * number)


@given(losses=st.lists(NUMBERS, min_size=1, max_size=5), cut=st.integers(0, 400))
def test_a_reader_of_any_prefix_sees_whole_events_and_goes_on_where_it_was(
    tmp_path_factory, losses: list[float], cut: int
) -> None:
    path: Path = tmp_path_factory.mktemp("events") / "events.jsonl"
    log = EventLog(path)
    written = [log.append(step(number, loss)) for number, loss in enumerate(losses)]
    log.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:cut])
    first, offset = read_events(path)
    path.write_bytes(whole)
    rest, end = read_events(path, offset)
    assert [event.model_dump_json() for event in [*first, *rest]] == [event.model_dump_json() for event in written]
    assert end == len(whole)


def test_nan_survives_and_every_line_is_strict_json(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.jsonl")
    log.append(step(1, math.nan))
    log.append(step(2, math.inf))
    log.close()
    lines = (tmp_path / "events.jsonl").read_text().splitlines()
    assert [json.loads(line, parse_constant=lambda word: 1 / 0)["loss"] for line in lines] == ["NaN", "Infinity"]
    nan, infinite = read_events(tmp_path / "events.jsonl")[0]
    assert isinstance(nan, Step) and math.isnan(nan.loss)
    assert isinstance(infinite, Step) and infinite.loss == math.inf


def test_a_new_writer_goes_on_after_a_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    log = EventLog(path)
    log.append(Started(job="train", pid=1))
    log.close()
    with path.open("ab") as file:
        file.write(b'{"type": "step", "st')
    again = EventLog(path)
    again.append(Finished(job="train", status="failed", reason="lost_process"))
    again.close()
    events, _ = read_events(path)
    assert [(event.type, event.seq) for event in events] == [("started", 0), ("finished", 2)]


def test_tokens_never_reach_the_file(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "quite-secret-value")
    log = EventLog(tmp_path / "events.jsonl")
    log.append(Warned(message="with hf_AbCdEfGhIjKlMnOpQrStUv and quite-secret-value"))
    log.close()
    text = (tmp_path / "events.jsonl").read_text()
    assert "hf_AbC" not in text and "quite-secret" not in text
    assert text.count("[redacted]") == 2


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_what_is_no_event_is_none(line: bytes) -> None:
    assert parse_event(line) is None


def test_no_file_is_no_events(tmp_path: Path) -> None:
    assert read_events(tmp_path / "none.jsonl") == ([], 0)


def test_a_password_that_is_a_word_of_the_format_breaks_no_event(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("FTSPACE_PASSWORD", "finished")
    log = EventLog(tmp_path / "events.jsonl")
    log.append(Finished(job="train", status="finished", message="the finished run"))
    log.close()
    (event,) = read_events(tmp_path / "events.jsonl")[0]
    assert isinstance(event, Finished) and event.message == "the [redacted] run"


def test_a_full_disk_leaves_no_half_line(tmp_path: Path, monkeypatch) -> None:
    log = EventLog(tmp_path / "events.jsonl")
    log.append(Started(job="train", pid=1))
    whole = os.write
    monkeypatch.setattr("ftspace.events.os.write", lambda fd, data: whole(fd, data[:7]))
    with pytest.raises(OSError, match="No space left"):
        log.append(Started(job="train", pid=2))
    monkeypatch.undo()
    log.append(Finished(job="train", status="failed", reason="disk"))
    log.close()
    assert [event.type for event in read_events(tmp_path / "events.jsonl")[0]] == ["started", "finished"]
