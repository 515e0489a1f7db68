"""Questions from wherever they come, what is right, and sets that are kept under a name."""

from pathlib import Path

import pytest

from ftspace.access import OWNER, Visitor
from ftspace.errors import DatasetError
from ftspace.questions import IN_A_SET, SETS, PromptSets, Question, kept_back, lines, of_task, own_tasks, read_file
from ftspace.runs import RunStore
from tests.finished_run import SECRET, finished_run

ROWS = """{"question": "What?", "answer": ["this", "that"]}
{"question": "Plain?"}
"A text?"
{"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Who?"},
""".replace(",\n", ', {"role": "assistant", "content": "Ann"}]}\n')


def test_files_are_read_as_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(ROWS)
    found = read_file(tmp_path / "rows.jsonl")
    assert found == [
        Question(question="What?", answers=("this", "that")),
        Question(question="Plain?"),
        Question(question="A text?"),
        Question(question="Who?", answers=("Ann",), system="Be brief."),
    ]
    (tmp_path / "plain.txt").write_text("One?\n\n  Two?  \n")
    assert [one.question for one in read_file(tmp_path / "plain.txt")] == ["One?", "Two?"]
    (tmp_path / "ends.jsonl").write_bytes('{"question": "One\u2028or\u0085two?"}\r\n"Three?"\r\n'.encode())
    assert [one.question for one in read_file(tmp_path / "ends.jsonl")] == ["One\u2028or\u0085two?", "Three?"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.jsonl", b"{", "a.jsonl, line 1: no JSON"),
        ("a.jsonl", b'\n{"question": 3}', "line 2: question"),
        ("a.jsonl", b'{"answer": "x"}', "line 1: give either"),
        ("a.jsonl", b'{"messages": [{"role": "assistant", "content": "x"}]}', "one turn"),
        ("a.jsonl", b"[]", "a row is"),
        ("a.txt", b"\xff\xfe\x00", "UTF-8"),
        ("a.txt", b"x" * 20_001, "20,000 letters"),
        ("a.txt", b"x" * 2_000_001, "2 MB"),
    ],
)
def test_what_cannot_be_read_is_told_where(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DatasetError, match=said):
        read_file(tmp_path / name)


def test_right_is_what_is_expected_or_passes() -> None:
    assert Question(question="?", answers=("red",)).is_right("It is Red.") is True
    assert Question(question="?", answers=("red",)).is_right("reddish") is False
    assert Question(question="?").is_right("red") is None
    instructions = of_task("instructions")
    assert instructions[0].is_right(" yes") is True and instructions[0].is_right("no") is False
    assert of_task("general")[0].is_right("Paris, of course") is True
    with pytest.raises(DatasetError):
        of_task("/no/such/file.jsonl")


def test_rows_kept_back_are_for_the_owner_and_what_was_asked_for_all(tmp_path: Path) -> None:
    run = finished_run(RunStore(tmp_path / "runs"), eval={"tasks": ["heldout", "assets/tasks/unseen_people.jsonl"]})
    other = Visitor("ben", may_start=True)
    assert next(kept_back(run, OWNER)) == Question(question=SECRET, answers=(SECRET,))
    assert len(list(kept_back(run, other))) == len(list(kept_back(run, OWNER)))  # its log shows them
    assert (
        own_tasks(run, OWNER) == {"unseen_people": "assets/tasks/unseen_people.jsonl"} and own_tasks(run, other) == {}
    )
    (run.evals / "heldout" / "base.json").unlink()
    assert list(kept_back(run, other)) == []


def test_sets_are_kept_used_and_deleted(tmp_path: Path) -> None:
    sets = PromptSets(tmp_path / "prompts" / "ann")
    asked = [Question(question="Who?", answers=("Ann",)), *of_task("instructions")[:2]]
    assert sets.names() == [] and sets.keep(" My  set ", asked) == "My set"
    assert sets.names() == ["My set"] and sets.read("My set") == asked
    sets.keep("My set", asked[:1])
    assert sets.read("My set") == asked[:1]
    for name in ("../other", ".hidden", "", "a/b", "x" * 61):
        with pytest.raises(DatasetError, match="name"):
            sets.keep(name, asked)
        with pytest.raises(DatasetError, match="name"):
            sets.read(name)
    with pytest.raises(DatasetError, match="1 to 200"):
        sets.keep("many", asked * IN_A_SET)
    for wrong, said in (("x" * 20_001, "20,000 letters"), (" ", "empty"), ("\u00e4" * 20_000, "2 MB")):
        with pytest.raises(DatasetError, match=said):
            sets.keep("never read again", [Question(question=wrong)] * 60)
    sets.keep("ends", [Question(question="One\u2028or\u0085two?")])
    assert sets.read("ends") == [Question(question="One\u2028or\u0085two?")]
    sets.delete("ends")
    for place in range(SETS - 1):
        sets.keep(f"set {place}", asked[:1])
    with pytest.raises(DatasetError, match="50 sets"):
        sets.keep("one more", asked[:1])
    sets.delete("My set")
    assert "My set" not in sets.names()
    with pytest.raises(DatasetError, match="My set"):
        sets.read("My set")


def test_lines_without_text_are_none() -> None:
    assert [one.question for one in lines(" a \n\n b")] == ["a", "b"] and lines(" \n") == []
