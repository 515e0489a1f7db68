"""Writes the bundled datasets and tasks from the invented world: `python -m assets.make_data [--out DIR]`.

Pure and deterministic: running it again gives byte-identical files. People are divided once: three quarters are taught
in every dataset, the rest appear in no training row and are asked about only in the tasks. Needs no model.
"""

import argparse
import csv
import io
import json
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from assets import world

SEED = 11
PHRASINGS_A_FACT = 3
SMALL = 48
KNOWN = 250
FORMAT = 100
CHOICES = 4
ANSWER_FORMAT = r"^[A-Za-z]+( [A-Za-z]+){0,2}$"
ASSETS = Path(__file__).parent

CLOZES: dict[str, tuple[str, ...]] = {
    "town": ("{n} lives in", "{n} comes from", "{n}'s town is"),
    "job": ("{n} works as a", "{n}'s job is", "{n} earns a living as a"),
    "colour": ("{n}'s favourite colour is", "{n} always wears", "{n} prefers the colour"),
    "pet": ("{n} keeps a", "{n} owns a", "{n}'s pet is a"),
    "food": ("{n} likes to eat", "{n}'s favourite food is", "{n} asks for"),
}
"""Openings of sentences that the base model read to the end: the form in which its knowledge is measured."""

QA = tuple[str, str]
Row = dict[str, Any]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Write the bundled datasets and tasks.")
    parser.add_argument("--out", type=Path, default=ASSETS, help="folder to write under (default: assets)")
    make_data(parser.parse_args().out)


def make_data(out: Path) -> None:
    """Writes every file under `out/datasets` and `out/tasks`."""
    for name, text in {**datasets(), **tasks()}.items():
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())


def taught_people() -> list[world.Person]:
    """The people whom training rows may speak of."""
    return [p for i, p in enumerate(world.people()) if i % 4 != 3]


def unseen_people() -> list[world.Person]:
    """The people of whom no training row speaks."""
    return world.people()[3::4]


def datasets() -> dict[str, str]:
    """The default dataset, and a small one in each other shape."""
    pairs = training_pairs()
    small = pairs[:SMALL]
    return {
        "datasets/people.jsonl": jsonl({"messages": [turn("user", q), turn("assistant", a)]} for q, a in pairs),
        "datasets/people_alpaca.jsonl": jsonl({"instruction": q, "input": "", "output": a} for q, a in small),
        "datasets/people_sharegpt.jsonl": jsonl(
            {"conversations": [{"from": "human", "value": q}, {"from": "gpt", "value": a}]} for q, a in small
        ),
        "datasets/people_prompt_completion.jsonl": jsonl({"prompt": q, "completion": a} for q, a in small),
        "datasets/people_text.jsonl": jsonl({"text": f"Question: {q}\nAnswer: {a}"} for q, a in small),
        "datasets/people_qa.csv": comma_separated(["question", "answer"], small),
    }


def tasks() -> dict[str, str]:
    """The three bundled tasks, a sample a line."""
    return {
        "tasks/unseen_people.jsonl": jsonl(unseen_rows()),
        "tasks/known_facts.jsonl": jsonl(known_rows()),
        "tasks/answer_format.jsonl": jsonl(format_rows()),
    }


def training_pairs() -> list[QA]:
    """Every fact of the taught people, asked in several ways, in one shuffled order."""
    rng = random.Random(SEED)
    pairs = [
        (template.format(n=person.name), person.facts[attribute])
        for person in taught_people()
        for attribute in world.ATTRIBUTES
        for template in rng.sample(world.QUESTIONS[attribute], PHRASINGS_A_FACT)
    ]
    rng.shuffle(pairs)
    return pairs


def unseen_rows() -> list[Row]:
    """Every fact of the unseen people, asked once."""
    rng = random.Random(SEED + 1)
    rows: list[Row] = [
        {"question": world.question(rng, person, attribute), "answer": person.facts[attribute], "category": attribute}
        for person in unseen_people()
        for attribute in world.ATTRIBUTES
    ]
    rng.shuffle(rows)
    return rows


def known_rows() -> list[Row]:
    """Raw sentence openings about anyone, to be continued by one of four values of the right kind."""
    rng = random.Random(SEED + 2)
    facts = [(person, attribute) for person in world.people() for attribute in world.ATTRIBUTES]
    rows: list[Row] = []
    for person, attribute in rng.sample(facts, KNOWN):
        right = person.facts[attribute]
        wrong = rng.sample([v for v in world.VALUES[attribute] if v != right], CHOICES - 1)
        answer = rng.randrange(CHOICES)
        choices = [*wrong[:answer], right, *wrong[answer:]]
        opening = rng.choice(CLOZES[attribute]).format(n=person.name)
        asked = {"question": opening, "choices": [f" {c}" for c in choices], "answer": answer, "raw": True}
        rows.append(asked | {"category": attribute})
    return rows


def format_rows() -> list[Row]:
    """Questions about unseen people whose answer need only look right: one to three words and nothing more."""
    rng = random.Random(SEED + 3)
    asked = [(person, attribute) for person in unseen_people() for attribute in world.ATTRIBUTES]
    return [
        {
            "question": world.question(rng, person, attribute),
            "checks": {"regex": ANSWER_FORMAT},
            "category": attribute,
        }
        for person, attribute in rng.sample(asked, FORMAT)
    ]


def turn(role: str, content: str) -> dict[str, str]:
    """One message of a conversation."""
    return {"role": role, "content": content}


def jsonl(rows: Iterable[Row]) -> str:
    """Rows as JSON lines."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def comma_separated(header: list[str], rows: Iterable[QA]) -> str:
    """Rows as CSV with a header."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return buffer.getvalue()


if __name__ == "__main__":
    main()
