import random
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from evals.grams import grams, hash_words, signatures
from ftspace.data.duplicates import SHINGLE, SIMILAR, equal, groups, near_duplicates


def test_near_duplicates_are_the_rows_that_share_most_shingles(tmp_path: Path) -> None:
    chance = random.Random(5)
    rows = [[f"w{chance.randrange(5000)}" for _ in range(chance.randint(30, 120))] for _ in range(300)]
    changed = [row[:] for row in rows[:100]]
    for row in changed:
        row[chance.randrange(len(row))] = "changed"
    shingles = grams(hash_words(rows + changed), SHINGLE)
    signatures(shingles).tofile(tmp_path / "signatures")
    pairs = near_duplicates(tmp_path / "signatures", np.arange(400))

    sets = [set(shingles.values[a:b].tolist()) for a, b in zip(shingles.offsets, shingles.offsets[1:], strict=False)]
    true = {(n, n + 300): len(sets[n] & sets[n + 300]) / len(sets[n] | sets[n + 300]) for n in range(100)}
    found = set(map(tuple, pairs.tolist()))
    assert found <= set(true)
    assert all(pair in found for pair, alike in true.items() if alike > SIMILAR + 0.08)
    assert all(true[pair] > SIMILAR - 0.12 for pair in found)
    assert len(near_duplicates(tmp_path / "signatures", np.array([7]))) == 0


@given(st.lists(st.integers(0, 5), max_size=30))
def test_rows_of_equal_key_are_one_group_and_no_others(values: list[int]) -> None:
    joined = groups(len(values), [equal(np.array(values, dtype=np.uint64))])
    assert joined.tolist() == [values.index(value) for value in values]


def test_groups_join_what_is_joined_by_another() -> None:
    pairs = [np.array([[0, 3], [4, 5]]), np.array([[3, 5]])]
    assert groups(7, pairs).tolist() == [0, 1, 2, 0, 0, 0, 6]
    assert groups(0, []).tolist() == []
