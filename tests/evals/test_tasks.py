import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.errors import EvalError, TaskError
from evals.tasks import Task, check_task, load_task, load_tasks, parse_task, resolve_tasks


def parse(*rows: Any) -> Task:
    return parse_task("t", "\n".join(json.dumps(row) for row in rows), "t.jsonl")


def test_each_kind_is_told_by_its_keys() -> None:
    task = parse({"question": "q", "answer": "a", "system": "s", "group": "g"}, {"question": "q", "answer": ["a", "b"]})
    assert task.kind == "generation"
    assert [(turn.role, turn.content) for turn in task.samples[0].messages] == [("system", "s"), ("user", "q")]
    assert task.samples[0].group == "g"
    assert task.samples[1].answers == ("a", "b")
    turns = [{"role": "user", "content": "1"}, {"role": "assistant", "content": "2"}, {"role": "user", "content": "3"}]
    assert [turn.content for turn in parse({"messages": turns, "answer": "a"}).samples[0].messages] == ["1", "2", "3"]
    by_index = parse({"question": "q", "choices": [" a", " b"], "answer": 1, "raw": True})
    by_text = parse({"question": "q", "choices": [" a", " b"], "answer": " b", "raw": True})
    assert by_index == by_text and by_index.kind == "choice"
    assert by_index.samples[0].gold == 1 and by_index.samples[0].answers == (" b",) and by_index.samples[0].raw
    checks = parse({"question": "q", "checks": {"regex": "^a$", "json_schema": {"type": "string"}}})
    assert checks.kind == "checks" and checks.samples[0].checks is not None
    assert checks.samples[0].checks.describe() == 'regex ^a$ and JSON schema {"type": "string"}'


def test_hash_is_of_the_content_in_order() -> None:
    one, two = {"question": "1", "answer": "a"}, {"question": "2", "answer": "b"}
    renamed = parse_task("other", f"{json.dumps(one)}\n\n{json.dumps(two)}", "x")
    assert parse(one, two).content_hash == renamed.content_hash
    assert parse(one, two).content_hash != parse(two, one).content_hash
    assert parse(one, two).head(1) == parse(one)
    assert parse(one, two).head(None) == parse(one, two)
    # A change of this hash makes earlier logs incomparable: change it knowingly.
    assert parse(one).content_hash == "925af17f9b689086"


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ([], "dictionary"),
        ({}, "either `question` or `messages`"),
        ({"question": "q"}, "`answer` must be"),
        ({"question": "", "answer": "a"}, "`question`"),
        ({"question": "q", "answer": ""}, "none of them empty"),
        ({"question": "q", "answer": []}, "none of them empty"),
        ({"question": "q", "answer": 3}, "`answer` must be"),
        ({"question": 3, "answer": "a"}, "`question`"),
        ({"question": "q", "messages": [{"role": "user", "content": "q"}], "answer": "a"}, "either"),
        (
            {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}], "answer": "a"},
            "last",
        ),
        ({"messages": [{"role": "bot", "content": "q"}], "answer": "a"}, "messages.0.role"),
        ({"question": "q", "answer": "a", "extra": 1}, "unknown key `extra`"),
        ({"question": "q", "answer": "a", "raw": True}, "`raw` is for"),
        ({"question": "q", "choices": ["a"], "answer": 0}, "`choices`"),
        ({"question": "q", "choices": ["a", "a"], "answer": 0}, "the same"),
        ({"question": "q", "choices": ["a", ""], "answer": 0}, "empty"),
        ({"question": "q", "choices": ["a", "b"], "answer": 2}, "not an index"),
        ({"question": "q", "choices": ["a", "b"], "answer": -1}, "not an index"),
        ({"question": "q", "choices": ["a", "b"], "answer": "c"}, "none of the choices"),
        ({"question": "q", "choices": ["a", "b"], "answer": True}, "answer"),
        ({"question": "q", "choices": ["a", "b"], "answer": 0, "raw": True, "system": "s"}, "`raw` row"),
        ({"question": "q", "checks": {}}, "needs a regex"),
        ({"question": "q", "checks": {"regex": "("}}, "not a regular expression"),
        ({"question": "q", "checks": {"json_schema": {"type": "persn"}}}, "not a JSON schema"),
        ({"question": "q", "checks": {"regex": "a"}, "answer": "a"}, "goes without"),
    ],
)
def test_mistakes_name_line_and_reason(row: Any, words: str) -> None:
    good = "" if isinstance(row, dict) and ("choices" in row or "checks" in row) else '{"question": "q", "answer": "a"}'
    with pytest.raises(TaskError) as caught:
        parse_task("t", f"{good}\n{json.dumps(row)}\n", "dir/t.jsonl")
    assert str(caught.value).startswith("dir/t.jsonl:2: ")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("line", ["{", "nonsense", '{"question": NaN, "answer": "a"}', "[" * 100_000, '"\\ud800"'])
def test_bad_json_names_its_line(line: str) -> None:
    with pytest.raises(TaskError, match=r"^t\.jsonl:1: "):
        parse_task("t", line, "t.jsonl")


def test_kinds_do_not_mix() -> None:
    with pytest.raises(TaskError, match=r"t\.jsonl:2: a checks row in a file of generation rows"):
        parse({"question": "q", "answer": "a"}, {"question": "q", "checks": {"regex": "a"}})


def test_files(tmp_path: Path) -> None:
    good = tmp_path / "good.jsonl"
    good.write_bytes(b'\xef\xbb\xbf{"question": "q", "answer": "a"}\r\n\r\n')
    assert load_task(good).name == "good"
    assert [task.name for task in load_tasks([good])] == ["good"]
    with pytest.raises(TaskError, match="two task files are named good"):
        load_tasks([good, tmp_path / "." / "good.jsonl"])
    cases: list[tuple[str, bytes | None, str]] = [
        ("none.jsonl", None, "no such task file"),
        ("empty.jsonl", b"\n \n", "no rows"),
        ("latin.jsonl", b'{"question": "\xe9"}', "not UTF-8"),
        ("a|b.jsonl", good.read_bytes(), "rename"),
    ]
    for name, content, words in cases:
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(TaskError, match=words) as caught:
            load_task(path)
        assert str(caught.value).startswith(str(path))
    with pytest.raises(TaskError, match="can't be read"):
        load_task(tmp_path)


def test_a_name_is_checked_before_anything_is_fetched(tmp_path: Path) -> None:
    (tmp_path / "own.jsonl").write_text('{"question": "q", "answer": "a"}\n')
    for name in ("general", "instructions", str(tmp_path / "own.jsonl"), "gsm8k|4", "mmlu|5", "helm|arc:easy|0|0"):
        check_task(name)
    for name, words in (
        ("gsm9k", "no task gsm9k: .*near names: gsm8k"),
        ("own.jsonl", "no such task file"),
        ("gsm8k|x", "solved examples is 'x'"),
        ("a,b", "names no task"),
    ):
        with pytest.raises(TaskError, match=words):
            check_task(name)
    (named,) = resolve_tasks([str(tmp_path / "own.jsonl")], role="forgetting")
    assert (named.name, named.role, named.question_texts, named.answer_tokens(9)) == ("own", "forgetting", ("q",), 9)
    with pytest.raises(TaskError, match="two task files are named general"):
        resolve_tasks(["general", "general"])


def test_conversations_become_a_task() -> None:
    def turn(role: str, content: str) -> dict[str, str]:
        return {"role": role, "content": content}

    rows = [[turn("system", "s"), turn("user", "q"), turn("assistant", "a"), turn("user", "thanks")]]
    task = Task.from_messages("held_out", rows)
    assert task.samples[0].answers == ("a",)
    assert [one.content for one in task.samples[0].messages] == ["s", "q"]
    for row, words in (
        ([turn("user", "q")], "no assistant turn"),
        ([turn("user", "q"), turn("assistant", " ")], "no assistant turn"),
        ([turn("assistant", "a")], "no user turn"),
        ([{"role": "user"}], "content"),
        ([turn("tool", "x")], "role"),
    ):
        with pytest.raises(TaskError, match=words) as caught:
            Task.from_messages("held_out", [*rows, row])
        assert "task held_out, conversation 2" in str(caught.value)
    with pytest.raises(TaskError, match="no rows"):
        Task.from_messages("held_out", [])
    with pytest.raises(TaskError, match="rename"):
        Task.from_messages("held/out", rows)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
ROLES = st.sampled_from(["user", "assistant", "system", "tool"])
WORDS = st.sampled_from(["type", "$ref", "$schema", "pattern", "items", "properties", "$defs", "$id", "enum", "allOf"])
MESSAGES = st.lists(st.fixed_dictionaries({}, optional={"role": ROLES | JSON, "content": st.text() | JSON}), max_size=3)
ROWS = st.fixed_dictionaries(
    {},
    optional={
        "question": st.text(max_size=5) | JSON,
        "messages": MESSAGES | JSON,
        "answer": st.text(max_size=5) | st.integers(-1, 3) | JSON,
        "choices": st.lists(st.text(max_size=3), max_size=4) | JSON,
        "checks": st.fixed_dictionaries(
            {},
            optional={
                "regex": st.text(max_size=5) | JSON,
                "json_schema": JSON | st.dictionaries(WORDS, JSON),
            },
        )
        | JSON,
        "raw": st.booleans() | JSON,
        "system": st.text(max_size=3) | JSON,
        "group": st.text(max_size=3) | JSON,
    },
)


@settings(max_examples=200, deadline=None)
@given(st.lists(ROWS | JSON, min_size=1, max_size=2).map(lambda rows: "\n".join(map(json.dumps, rows))) | st.text())
def test_any_text_gives_a_task_or_an_eval_error(text: str) -> None:
    try:
        task = parse_task("t", text, "t.jsonl")
    except EvalError as error:
        assert "\n" not in str(error)
        return
    assert task.samples
    assert len(task.content_hash) == 16
