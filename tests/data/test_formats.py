from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftspace.data.formats import RowProblem, given_format, recognize, to_conversation
from ftspace.errors import DatasetError

ASKED = [{"role": "user", "content": "2+2?"}, {"role": "assistant", "content": "4"}]


@pytest.mark.parametrize(
    "row",
    [
        {"messages": ASKED},
        {"conversations": [{"from": "human", "value": "2+2?"}, {"from": "gpt", "value": "4"}]},
        {"conversations": ASKED},
        {"prompt": "2+2?", "completion": "4"},
        {"prompt": ASKED[:1], "completion": ASKED[1:]},
        {"instruction": "2+2?", "input": "", "output": "4"},
        {"instruction": "2+2?", "output": "4"},
        {"question": "2+2?", "answer": "4", "source": "school"},
        {"query": "2+2?", "response": "4"},
        {"problem": "2+2?", "solution": "4"},
        {"prompt": "2+2?", "response": "4"},
        {"messages": [*ASKED, {"role": "user", "content": "and then?"}]},
    ],
)
def test_shapes_become_the_same_conversation(row: dict[str, Any]) -> None:
    assert to_conversation(row, recognize(list(row), [row])) == ASKED


def test_alpaca_input_follows_the_instruction() -> None:
    row = {"instruction": "Add.", "input": "2 and 2", "output": "4"}
    assert to_conversation(row, recognize(list(row), [row]))[0]["content"] == "Add.\n\n2 and 2"


def test_a_system_prompt_is_put_before_but_replaces_none() -> None:
    row = {"messages": ASKED}
    fmt = recognize(["messages"], [row])
    assert to_conversation(row, fmt, "Be brief.")[0] == {"role": "system", "content": "Be brief."}
    own = {"messages": [{"role": "system", "content": "Be long."}, *ASKED]}
    assert to_conversation(own, fmt, "Be brief.")[0]["content"] == "Be long."


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"messages": []}, "no turns"),
        ({"messages": None}, "no turns"),
        ({"messages": ASKED[:1]}, "no answer"),
        ({"messages": ASKED[1:]}, "no question"),
        ({"messages": [ASKED[0], {"role": "assistant", "content": " "}]}, "empty answer"),
        ({"messages": [ASKED[0], {"role": "assistant", "content": None}]}, "missing text"),
        ({"messages": [ASKED[0], {"role": "assistant", "content": [1]}]}, "list where text is expected"),
        ({"messages": [{"role": "narrator", "content": "x"}]}, "^unknown role$"),
        ({"messages": ["x"]}, "a turn without role and content"),
    ],
)
def test_a_row_that_cannot_be_used_says_why(row: dict[str, Any], reason: str) -> None:
    with pytest.raises(RowProblem, match=reason):
        to_conversation(row, recognize(["messages"], [row]))


@pytest.mark.parametrize(
    ("role", "named"), [("Narrator", True), ("john@acme.com", False), ("a" * 21, False), ("zoë", False), (7, False)]
)
def test_an_unknown_role_is_one_reason_and_named_only_to_a_person_who_mends_it(role: object, named: bool) -> None:
    rows = [{"messages": [{"role": role, "content": "x"}, {"role": "assistant", "content": "y"}]}]
    with pytest.raises(DatasetError, match="row 1 cannot be used: unknown role") as caught:
        given_format(["messages"], rows, {"messages": "messages"})
    assert (str(role).lower() in str(caught.value)) == named
    good: list[dict[str, Any]] = [{"messages": ASKED}]
    (warning,) = given_format(["messages"], rows + good, {"messages": "messages"}).warnings
    assert warning == "data.mapping: row 1 cannot be used: unknown role (1 of the first 2 rows)"


@pytest.mark.parametrize(
    ("columns", "words"),
    [(["text"], "plain text only"), (["a", "b"], "found a, b; expected"), ([], "found none")],
)
def test_columns_without_a_conversation_are_named(columns: list[str], words: str) -> None:
    with pytest.raises(DatasetError, match=words):
        recognize(columns, [dict.fromkeys(columns, "x")])


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["role", "content", "from"]), inner),
    max_leaves=8,
)
NAMES = ["messages", "conversations", "prompt", "completion", "instruction", "input", "output", "question", "answer"]


@given(st.dictionaries(st.sampled_from(NAMES), JUNK, min_size=1))
def test_junk_is_a_conversation_or_a_named_problem(row: dict[str, Any]) -> None:
    try:
        turns = to_conversation(row, recognize(list(row), [row]))
    except (DatasetError, RowProblem) as problem:
        assert str(problem)
    else:
        assert turns[-1]["role"] == "assistant"
        assert all(isinstance(turn["content"], str) for turn in turns)
