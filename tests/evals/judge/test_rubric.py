from pathlib import Path

import pytest

from evals.errors import TaskError
from evals.judge.prompts import Material, to_compare, to_rate, version
from evals.judge.rubric import DEFAULT, load_rubric


def test_a_person_can_edit_the_rubric(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(DEFAULT.read_text().replace("What it says is correct.", "It {rhymes}."))
    rubric, default = load_rubric(own), load_rubric()
    assert "It {rhymes}." in to_compare(rubric, Material("q", "", ("a", "b")))
    rating = to_rate(default, Material("q", "r", ("a",)))
    assert "10: Correct and complete" in rating and rating.index("10: ") < rating.index("1: Wrong")
    assert version(rubric) != version(default) == version(load_rubric(DEFAULT))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- a list", "not a rubric"),
        ("pairwise: a\nsingle: b\ncriteria: []\nlevels: {1: bad}", "criteria"),
        ("pairwise: a\nsingle: b\ncriteria: [c]\nlevels: {11: bad}", "levels"),
        ("a: [", "not YAML"),
        (None, "can't be read"),
    ],
)
def test_a_file_that_is_no_rubric(tmp_path: Path, text: str | None, words: str) -> None:
    if text is not None:
        (tmp_path / "own.yaml").write_text(text)
    with pytest.raises(TaskError, match=words):
        load_rubric(tmp_path / "own.yaml")
