import random

import pytest

from evals.contamination import Overlap, Texts, mark, overlaps, texts_of
from evals.tasks import Task, parse_task

CHANCE = random.Random(3)


def prose(count: int) -> str:
    return " ".join(f"{CHANCE.choice('bdfgklm')}{CHANCE.choice('aeiou')}{CHANCE.randrange(9000)}" for _ in range(count))


LONG, ANSWER, OTHER = prose(40), prose(20), [prose(60) for _ in range(50)]
WORDS = LONG.split()
EDITED, RETOLD = (
    " ".join(f"{word}x" if place % every == 5 else word for place, word in enumerate(WORDS)) for every in (10, 6)
)


@pytest.mark.parametrize(
    ("row", "how", "part"),
    [
        (f"User: {LONG.upper()}!\nElse.", "exact", "question"),
        (f"{LONG}\n{ANSWER}", "exact", "question and answer"),
        (f"{prose(5)} {' '.join(WORDS[10:23])} {prose(5)}", "ngram", "question"),
        (f"{prose(5)} {' '.join(WORDS[10:22])} {prose(5)}", None, None),
        (f"{prose(9)} {' '.join(ANSWER.split()[3:16])}", "ngram", "answer"),
        (f"{' '.join(WORDS[10:30])} {ANSWER}", "ngram", "question and answer"),
        (EDITED, "near", "question"),
        (f"{EDITED} {ANSWER}", "ngram", "answer"),
        (RETOLD, None, None),
        (prose(60), None, None),
    ],
)
def test_a_long_sample_is_found_by_what_of_it_stands_in_a_row(row: str, how: str | None, part: str | None) -> None:
    rows = [*OTHER[:30], row, *OTHER[30:], row]
    samples = [Texts(prose(40)), Texts(LONG, (ANSWER,))]
    found = overlaps(samples, rows)
    assert [(one.sample, one.how, one.part, one.row) for one in found] == ([(1, how, part, 30)] if how else [])


def test_questions_of_one_template_are_not_repeated_unless_name_and_all_are() -> None:
    rows = [f"Where does {name} live?\n{town}" for name, town in (("Anna", "Rome"), ("Ben", "Paris"))]
    samples = [
        Texts("Where does Carl live?", ("Rome",)),
        Texts("Where does Anna live?", ("Rome",)),
        Texts("Where does Ben live?", ("Rome",)),
        Texts("Where does Benno live?", ("Paris",)),
        Texts("And Anna?", ("Rome",)),
    ]
    assert overlaps(samples, rows) == [
        Overlap(1, "exact", "question and answer", 0),
        Overlap(2, "exact", "question", 1),
    ]
    long = f"{LONG} {{}} {prose(9)}?"
    many = [long.format(f"name{n}") for n in range(60)]
    assert overlaps([Texts(long.format("Anna"))], many) == []
    assert overlaps([Texts(long.format("name7"))], many) == [Overlap(0, "exact", "question", 7)]
    alike = [Texts(long.format(f"other{n}")) for n in range(60)]
    assert overlaps(alike, many[:3]) == []


def test_what_is_asked_for_several_answers_or_by_everyone_counts_only_with_its_answer() -> None:
    asked = "What do you say to this?"
    rows = [f"{prose(3)} {asked} yes", *(f"{prose(3)} How are you? Thanks" for _ in range(30))]
    samples = [
        Texts(asked, ("Yes.",)),
        Texts(asked, ("No.",)),
        Texts("So how are you?", ("Bad",)),
        Texts("How are you?"),
    ]
    assert overlaps(samples, rows) == [Overlap(0, "exact", "question and answer", 0)]


def test_tasks_of_all_kinds_are_marked_in_one_go_and_keep_the_marks_they_have() -> None:
    facts = parse_task(
        "facts", '{"question": "Anna likes", "choices": [" blue", " red"], "answer": 0, "raw": true}', ""
    )
    shape = parse_task("shape", '{"question": "Where does Anna live?", "checks": {"regex": "a"}}', "")
    held = Task.from_messages(
        "heldout",
        [
            [{"role": "user", "content": "Who is Ben?"}, {"role": "assistant", "content": "A baker."}],
            [{"role": "user", "content": "Hi."}, {"role": "assistant", "content": "Hello."}] * 2,
        ],
        overlap=[0],
    )
    rows = ["Anna likes blue.", "Where does Anna live? In Rome."]
    marked = mark([facts, shape, held], rows)
    assert [[one.overlap for one in task.samples] for task in marked] == [[True], [True], [True, False]]
    assert [task.content_hash for task in marked] == [task.content_hash for task in (facts, shape, held)]
    assert mark([facts, shape, held], []) == [facts, shape, held]
    assert texts_of(held.samples[1]) == Texts("Hi.\nHello.\nHi.", ("Hello.",))
    asked = held.samples[0].model_copy(update={"document": {"query": "Who is Carl?"}})
    assert texts_of(asked) == Texts("Who is Carl?", ("A baker.",))
