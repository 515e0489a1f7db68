import random
from pathlib import Path

import numpy as np
import pytest

from evals.grams import frequent, grams, hash_words
from ftspace.data import overlap
from ftspace.data.overlap import GRAM, Words, shared_passages


@pytest.mark.parametrize("block", [40, 1000])
def test_rows_with_a_passage_in_common_are_found_on_both_sides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(overlap, "_BLOCK", block)
    monkeypatch.setattr(overlap, "_TEST_BLOCK", block)
    chance = random.Random(2)
    rows = [[f"w{chance.randrange(3000)}" for _ in range(chance.randint(0, 60))] for _ in range(60)]
    rows[0] = [f"p{n}" for n in range(30)]
    rows[40] = ["before", *rows[0][5 : 5 + GRAM], "behind"]
    rows[41] = ["before", *rows[0][5 : 4 + GRAM], "behind"]
    greeting = [f"g{n}" for n in range(20)]
    rows = [greeting + row for row in rows]
    flat = hash_words(rows)
    (tmp_path / "words").write_bytes(flat.values.tobytes())
    test = np.arange(len(rows)) >= 40
    common = frequent(grams(flat, GRAM), share=0.5, least=2)

    def passages(places: range) -> set[tuple[str, ...]]:
        hidden = {tuple(greeting[i : i + GRAM]) for i in range(20 - GRAM + 1)}
        return {tuple(rows[p][i : i + GRAM]) for p in places for i in range(len(rows[p]) - GRAM + 1)} - hidden

    shared = passages(range(40)) & passages(range(40, 60))
    has = [any(tuple(row[i : i + GRAM]) in shared for i in range(len(row) - GRAM + 1)) for row in rows]
    seen, asked = shared_passages(Words(tmp_path / "words", flat.offsets), ~test, test, common)
    assert (seen | asked).tolist() == has and any(has[:40]) and has[40] and not has[41]
    assert not (seen & test).any() and not (asked & ~test).any()
