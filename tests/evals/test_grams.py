import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.grams import contains, frequent, grams, hash_words, signatures, words

ROWS = st.lists(st.lists(st.sampled_from("abcdefgh"), max_size=12), max_size=12)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("The quick, brown fox!", ["the", "quick", "brown", "fox"]),
        ("it's 3.5 (or so)", ["it", "s", "3", "5", "or", "so"]),
        ("Größe und Maß", ["größe", "und", "maß"]),
        ("我喜歡茶 ok", ["我", "喜", "歡", "茶", "ok"]),
        ("", []),
    ],
)
def test_words_are_what_a_reader_would_count(text: str, found: list[str]) -> None:
    assert words(text) == found


@given(ROWS, st.integers(1, 6))
def test_grams_are_the_runs_of_each_row_and_never_of_two(rows: list[list[str]], size: int) -> None:
    found = grams(hash_words(rows), size)
    runs = [[tuple(row[i : i + size]) for i in range(len(row) - size + 1)] for row in rows]
    assert np.diff(found.offsets).tolist() == [len(row) for row in runs]
    named: dict[tuple[str, ...], int] = {}
    for run, value in zip([one for row in runs for one in row], found.values.tolist(), strict=True):
        assert named.setdefault(run, value) == value
    assert len(set(named.values())) == len(named)


@given(ROWS, st.integers(1, 4))
def test_runs_that_touch_what_many_rows_have_are_left_out(rows: list[list[str]], size: int) -> None:
    flat = hash_words(rows)
    runs = [[tuple(row[i : i + size]) for i in range(len(row) - size + 1)] for row in rows]
    common = {run for found in runs for run in found if sum(run in one for one in runs) >= max(2, len(rows) / 2)}
    rest = grams(flat, size, frequent(grams(flat, size), share=0.5, least=2))
    for place, found in enumerate(runs):
        covered = {i + k for i, run in enumerate(found) if run in common for k in range(size)}
        kept = [run for i, run in enumerate(found) if not covered & set(range(i, i + size))]
        assert rest.offsets[place + 1] - rest.offsets[place] == len(kept)


def test_signatures_estimate_how_much_two_rows_share() -> None:
    first = [f"word{n}" for n in range(200)]
    rows = hash_words([first, first[:180] + [f"other{n}" for n in range(20)], [f"else{n}" for n in range(200)]])
    signed = signatures(rows)
    alike = [(signed[0] == other).mean() for other in signed]
    assert alike[0] == 1 and abs(alike[1] - 180 / 220) < 0.12 and alike[2] < 0.05
    assert (signatures(rows) == signed).all() and signatures(hash_words([])).shape == (0, 128)


@given(st.lists(st.integers(0, 50)), st.lists(st.integers(0, 50)))
def test_contains_is_a_look_into_a_set(known: list[int], asked: list[int]) -> None:
    ordered = np.unique(np.array(known, dtype=np.uint64))
    assert contains(ordered, np.array(asked, dtype=np.uint64)).tolist() == [one in known for one in asked]
