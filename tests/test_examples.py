from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ftspace.examples import choose_examples, plain


def talk(question: str, answer: str, *before: Any) -> Any:
    return [*before, {"role": "user", "content": question}, {"role": "assistant", "content": answer}]


ROWS = [talk(f"What is the {thing} of {name}?", f"{name} {thing}") for name in "abcdefgh" for thing in ("car", "cat")]
words = st.text("ab c", min_size=1, max_size=12)


@given(rows=st.lists(st.tuples(words, words), max_size=12), count=st.integers(1, 5), seed=st.integers(0, 9))
def test_examples_are_rows_each_once_and_none_that_is_asked(rows: list[tuple[str, str]], count: int, seed: int) -> None:
    asked = {plain(rows[0][0])} if rows else set[str]()
    found = choose_examples([talk(*row) for row in rows], asked, count, seed)
    there = {plain(question) for question, answer in rows if question.strip() and answer.strip()} - asked
    questions = [question for question, _ in found]
    assert len(questions) == len(set(questions)) <= count
    assert set(map(plain, questions)) <= there
    assert bool(found) == bool(there)


def test_the_same_are_chosen_whatever_the_order_and_others_by_another_seed() -> None:
    found = choose_examples(ROWS, set(), 4, 0)
    assert found == choose_examples(ROWS[::-1], set(), 4, 0)
    assert found != choose_examples(ROWS, set(), 4, 1)
    assert {answer.split()[1] for _, answer in found} == {"car", "cat"}  # they differ


def test_long_rows_system_prompts_and_tools_stay_out() -> None:
    system, tools = {"role": "system", "content": "Be kind."}, {"role": "tool", "content": "4"}
    rows: list[Any] = [talk("long?", "word " * 300), [*talk("tool?", "yes"), tools], talk("Short one?", "Yes.", system)]
    assert choose_examples(rows, set(), 3, 0) == [("Short one?", "Yes.")]
    assert choose_examples(rows, {"short one?"}, 3, 0) == []
