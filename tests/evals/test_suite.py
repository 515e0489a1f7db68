from collections import Counter

from evals.scorers.checks import passes
from evals.tasks import resolve_tasks

FOLLOWED = [
    *("yes", "RIVER", "Good morning, friend.", '{"name": "Anna"}', "Blue.", "1, 2, 3, 4, 5", "How are you?"),
    *('["a", "b", "c"]', "However, it rained.", "She lit the lantern.", "bread", "The quick brown fox."),
    *('{"city": "Paris", "country": "France"}', "GOOD MORNING", "hello world", "3\n2\n1", "- apple\n- pear", "42"),
    *("B", "[stop]", "2024-03-05", '{"ok": true}', "Green, white.", "apple apple apple", "A fox is an animal. END"),
    *("Dear Anna, I hope you are well.", "tom@example.com", "[1, 2, 3, 4]", "print('hello')", "true", "15", "-----"),
    *("apple, fig, pear", "tac", '{"sum": 5}', "M", '"The Cat at the Door"', "Thank you for your patience this year."),
    *("Put the egg into boiling water for eight minutes.", "Rome"),
]
"""An answer to each instruction of the suite that follows it."""
WRONG = ("I am sorry, but I can't help with that.", "Sure! Here is what you asked for:\n\n```\nAnna\n```", "")


def test_the_choices_of_general_do_not_tell_which_is_right() -> None:
    (task,) = resolve_tasks(["general"])
    assert (task.role, task.kind, len(task.samples)) == ("forgetting", "choice", 120)
    assert Counter(sample.gold for sample in task.samples) == {0: 30, 1: 30, 2: 30, 3: 30}
    assert len({sample.question for sample in task.samples}) == len({one.item_hash for one in task.samples}) == 120
    longest = shortest = 0
    for sample in task.samples:
        gold, *lengths = sorted(map(len, sample.choices), key=lambda length: length != len(sample.answers[0]))
        assert len(set(sample.choices)) == 4 and all(one.startswith(" ") and one[1] != " " for one in sample.choices)
        assert max(gold, *lengths) - min(gold, *lengths) <= 5, sample
        longest, shortest = longest + (gold > max(lengths)), shortest + (gold < min(lengths))
    assert longest <= 30 and shortest <= 30, "a model that goes by length must not do better than one that guesses"


def test_each_instruction_can_be_followed_and_is_checked() -> None:
    (task,) = resolve_tasks(["instructions"])
    assert (task.role, task.kind, len(task.samples)) == ("forgetting", "checks", 40)
    assert len({sample.question for sample in task.samples}) == 40
    for sample, followed in zip(task.samples, FOLLOWED, strict=True):
        checks = sample.checks
        assert checks is not None and not sample.raw

        def passed(answer: str, regex: str | None = checks.regex, schema: object = checks.json_schema) -> bool:
            return passes(answer, regex=regex, json_schema=schema)  # pyright: ignore[reportArgumentType]

        assert passed(followed), (sample.question, followed)
        assert not any(passed(wrong) for wrong in WRONG), sample.question
        assert sum(map(passed, FOLLOWED)) <= 9, sample.question
