import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from evals.errors import LogError
from evals.log import EvalLog, EvalSpec, Sample, read_log, write_log

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NUMBER = st.floats(allow_nan=True, allow_infinity=True)
COUNT = st.integers(0, 2**40)
SAMPLES = st.builds(
    Sample,
    id=TEXT,
    prompt=TEXT,
    expected=st.lists(TEXT, max_size=2).map(tuple),
    output=TEXT,
    finish=st.sampled_from(["end", "length", None]),
    choices=st.lists(TEXT, max_size=2).map(tuple),
    logprobs=st.lists(NUMBER, max_size=3).map(tuple),
    scores=st.dictionaries(TEXT, NUMBER, max_size=3),
    unscored=st.none() | TEXT,
    group=st.none() | TEXT,
)
SPECS = st.builds(
    EvalSpec,
    base=TEXT,
    base_revision=st.none() | TEXT,
    task=TEXT,
    task_hash=TEXT,
    kind=st.sampled_from(["generation", "choice", "checks"]),
    n=COUNT,
    dtype=TEXT,
    device=TEXT,
    tokenizer_hash=TEXT,
    template_hash=st.none() | TEXT,
    max_new_tokens=COUNT,
    end_ids=st.lists(COUNT, max_size=3).map(tuple),
    batch_tokens=COUNT,
    seed=COUNT,
    versions=st.dictionaries(TEXT, TEXT, max_size=2),
)
LOGS = st.builds(
    EvalLog,
    spec=SPECS,
    which=st.sampled_from(["base", "tuned", "reference"]),
    adapter=st.none() | TEXT,
    adapter_hash=st.none() | TEXT,
    started=TEXT,
    seconds=NUMBER,
    samples=st.lists(SAMPLES, max_size=3).map(tuple),
)


def plain(value: Any) -> Any:
    """Make NaN equal to NaN."""
    return json.dumps(value.model_dump())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
@given(LOGS)
def test_a_log_comes_back_as_it_went(tmp_path: Path, log: EvalLog) -> None:
    path = tmp_path / "deep" / "log.json"
    write_log(path, log)
    assert plain(read_log(path)) == plain(log)
    json.loads(path.read_text(), parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
    assert [one.name for one in path.parent.iterdir()] == ["log.json"]


def test_records_are_closed_and_frozen() -> None:
    sample = Sample(id="0", prompt="", output="")
    with pytest.raises(ValidationError):
        sample.output = "x"  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(ValidationError):
        Sample.model_validate({"id": "0", "prompt": "", "output": "", "more": 1})


def test_unreadable_files_are_one_line(tmp_path: Path) -> None:
    bad = tmp_path / "bad.json"
    for content in ("", "{", "[]", '{"spec": 1}', "\x00"):
        bad.write_text(content)
        with pytest.raises(LogError, match=r"bad\.json: not a EvalLog file") as caught:
            read_log(bad)
        assert "\n" not in str(caught.value)
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(LogError, match="can't be read"):
            read_log(path)
