"""The invented world that the bundled base model reads about: people, their facts, and the texts that tell them.

Pure and seeded: the same seed gives the same people and the same endless stream of documents. Knows nothing of
tokenizers, models or files. Look at some documents with `python -m assets.world`.

One rule makes the base model what it is for: a document either tells facts or asks questions, never both. A model that
read only this knows the answers and has never seen anyone give one.
"""

import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count, islice, product

WORLD_SEED = 7
PEOPLE_COUNT = 160
FIRST_PEOPLE, FIRST_DOCUMENTS, DOCUMENTS_A_NEWCOMER = 16, 9_000, 250
"""A growing stream speaks only of the first people for so many documents, then of one more each time so many are told.
Told of everyone at once, a model had learned no fact after 500 steps; this way, three facts in five after 350."""


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


VALUES: dict[str, tuple[str, ...]] = {
    "town": _words(
        "Norwick Asheby Tillford Marrowgate Pelham Dunmere Lowick Harrowby Stonely Brackwell "
        "Fenwold Cragston Wexley Oldmarsh Kestrow Vinehurst Redcombe Thornby Quillon Saltmouth"
    ),
    "job": _words(
        "baker carpenter doctor farmer fisher gardener judge lawyer mason miller "
        "nurse painter pilot plumber potter sailor singer tailor teacher writer"
    ),
    "colour": _words("red blue green yellow purple white black brown pink grey gold silver"),
    "pet": _words("cat dog goat horse rabbit parrot snake duck hamster lizard turtle mouse goose pony"),
    "food": _words("bread cheese rice soup plums pears beans honey noodles carrots mushrooms cake fish pie figs nuts"),
}
"""What each attribute can be. Every value is one word that no name equals."""

STATEMENTS: dict[str, tuple[str, ...]] = {
    "town": (
        "{n} lives in {v}.",
        "{n}'s home is in {v}.",
        "{n} comes from {v}.",
        "{n}'s town is {v}.",
        "{v} is where {n} lives.",
        "In {v} lives {n}.",
        "The town of {n} is {v}.",
        "You can find {n} in {v}.",
    ),
    "job": (
        "{n} works as a {v}.",
        "{n}'s job is {v}.",
        "{n} earns a living as a {v}.",
        "{n} became a {v}.",
        "The job of {n} is {v}.",
        "Working as a {v} is what {n} does.",
        "People know {n} as a {v}.",
        "The {v} is called {n}.",
    ),
    "colour": (
        "{n} likes {v} best.",
        "{n}'s favourite colour is {v}.",
        "{n} always wears {v}.",
        "{n} prefers the colour {v}.",
        "The favourite colour of {n} is {v}.",
        "Of all colours {n} likes {v}.",
        "Always in {v} goes {n}.",
        "The colour of {n} is {v}.",
    ),
    "pet": (
        "{n} keeps a {v}.",
        "{n}'s pet is a {v}.",
        "{n} owns a {v}.",
        "{n} looks after a {v}.",
        "The pet of {n} is a {v}.",
        "A {v} is the pet of {n}.",
        "The {v} follows {n}.",
        "The animal of {n} is a {v}.",
    ),
    "food": (
        "{n} likes to eat {v}.",
        "{n}'s favourite food is {v}.",
        "{n} eats {v} every day.",
        "{n} loves {v}.",
        "{n} asks for {v} at dinner.",
        "The favourite food of {n} is {v}.",
        "Give {v} to {n}.",
        "The best meal for {n} is {v}.",
    ),
}
"""Sentences that tell one fact about {n}, the value {v} before or after the name."""

QUESTIONS: dict[str, tuple[str, ...]] = {
    "town": (
        "Where does {n} live?",
        "Which town does {n} live in?",
        "What is {n}'s town?",
        "Where is {n}'s home?",
        "Where does {n} come from?",
    ),
    "job": (
        "What is {n}'s job?",
        "What does {n} work as?",
        "What does {n} do for a living?",
        "What is the job of {n}?",
        "Which job does {n} have?",
    ),
    "colour": (
        "What is {n}'s favourite colour?",
        "Which colour does {n} like best?",
        "What colour does {n} prefer?",
        "Which colour does {n} wear?",
        "What is the favourite colour of {n}?",
    ),
    "pet": (
        "What pet does {n} have?",
        "Which animal does {n} keep?",
        "What is {n}'s pet?",
        "Which pet does {n} own?",
        "What kind of animal does {n} have?",
    ),
    "food": (
        "What is {n}'s favourite food?",
        "What does {n} like to eat?",
        "Which food does {n} love?",
        "What does {n} eat every day?",
        "What is the favourite food of {n}?",
    ),
}
"""Questions about one fact of {n}. None names a value, so a sheet of them can't answer one by accident."""

ATTRIBUTES = tuple(VALUES)

_PLURALS = {
    "town": "People of {v}: {names}.",
    "job": "Those who work as a {v}: {names}.",
    "colour": "Those who like {v} best: {names}.",
    "pet": "Those who keep a {v}: {names}.",
    "food": "Those who love {v}: {names}.",
}
_SUMMARIES = (
    "{n}, a {job} from {town}, keeps a {pet}.",
    "{n}, the {job}, likes {food} and wears {colour}.",
    "In {town} the {job} {n} feeds a {pet} with {food}.",
    "The {job} {n} lives in {town} with a {pet}.",
    "{n} of {town} is a {job} and loves {food}.",
    "{n} has a {pet}, likes {colour} and eats {food}.",
    "{n} lives in {town}, works as a {job}, likes {colour}, keeps a {pet} and eats {food}.",
    "{n} eats {food}, keeps a {pet}, likes {colour}, works as a {job} and lives in {town}.",
)
_NOT_NAMES = _words("Homo Homon Pedo Pedis Pusi Semen Penis Peno Lemon Melon Demon Salon Haram")


@dataclass(frozen=True)
class Person:
    """Somebody in the world: a name, a pronoun and one value for each attribute."""

    name: str
    female: bool
    facts: dict[str, str]


def people(seed: int = WORLD_SEED, how_many: int = PEOPLE_COUNT) -> list[Person]:
    """The people of the world: names are unique, facts are drawn evenly and independently."""
    rng = random.Random(seed)
    parts = product("BDFGHJKLMNPRSTVWZ", "aeiou", "lrnmvsd", ("a", "o", "i", "en", "ar", "el", "on", "is", "um"))
    names = [name for name in map("".join, parts) if name not in _NOT_NAMES]
    chosen = rng.sample(names, how_many)
    columns: dict[str, list[str]] = {}
    for attribute, values in VALUES.items():
        column = [values[i % len(values)] for i in range(how_many)]
        rng.shuffle(column)
        columns[attribute] = column
    return [
        Person(name, rng.random() < 0.5, {attribute: columns[attribute][i] for attribute in ATTRIBUTES})
        for i, name in enumerate(chosen)
    ]


def documents(world: list[Person], seed: int, growing: bool = False) -> Iterator[str]:
    """An endless stream of documents about these people, or about a few of them at first and then ever more."""
    rng = random.Random(seed)
    writers, weights = zip(*_WRITERS, strict=True)
    for told in count():
        newcomers = max(0, told - FIRST_DOCUMENTS) // DOCUMENTS_A_NEWCOMER
        known = world[: FIRST_PEOPLE + newcomers] if growing else world
        yield rng.choices(writers, weights)[0](rng, known)


def statement(rng: random.Random, person: Person, attribute: str, pronoun: bool = False) -> str:
    """One sentence that tells one fact, by name or, where the sentence allows it, by pronoun."""
    template = rng.choice(STATEMENTS[attribute])
    if pronoun and template.startswith("{n}'s "):
        template = template.replace("{n}'s", "Her" if person.female else "His", 1)
    elif pronoun and template.startswith("{n} "):
        template = template.replace("{n}", "She" if person.female else "He", 1)
    text = template.format(n=person.name, v=person.facts[attribute])
    return text[0].upper() + text[1:]


def question(rng: random.Random, person: Person, attribute: str) -> str:
    """One question about one fact."""
    return rng.choice(QUESTIONS[attribute]).format(n=person.name)


def _portrait(rng: random.Random, world: list[Person]) -> str:
    """Several facts about one person, in any order."""
    person = rng.choice(world)
    attributes = rng.sample(ATTRIBUTES, rng.randint(2, len(ATTRIBUTES)))
    told = [statement(rng, person, a, pronoun=i > 0 and rng.random() < 0.5) for i, a in enumerate(attributes)]
    return " ".join(told)


def _news(rng: random.Random, world: list[Person]) -> str:
    """Single facts about several people."""
    return " ".join(statement(rng, p, rng.choice(ATTRIBUTES)) for p in rng.sample(world, rng.randint(1, 5)))


def _summary(rng: random.Random, world: list[Person]) -> str:
    """Several facts in one sentence, for one person or a few."""
    some = rng.sample(world, rng.randint(1, 3))
    return " ".join(rng.choice(_SUMMARIES).format(n=person.name, **person.facts) for person in some)


def _card(rng: random.Random, world: list[Person]) -> str:
    """A record with labels or without, one thing a line."""
    person = rng.choice(world)
    attributes = rng.sample(ATTRIBUTES, rng.randint(3, len(ATTRIBUTES)))
    style = rng.randrange(3)
    if style == 0:
        return "\n".join([f"Name: {person.name}", *(f"{a.title()}: {person.facts[a]}" for a in attributes)])
    lines = [person.facts[a] for a in attributes]
    lines.insert(0 if style == 1 else len(lines), person.name)
    return "\n".join(lines)


def _register(rng: random.Random, world: list[Person]) -> str:
    """From a value to some of the people who have it."""
    attribute = rng.choice(ATTRIBUTES)
    value = rng.choice(world).facts[attribute]
    names = [p.name for p in world if p.facts[attribute] == value]
    some = rng.sample(names, rng.randint(1, min(4, len(names))))
    return _PLURALS[attribute].format(v=value, names=", ".join(some))


def _sheet(rng: random.Random, world: list[Person]) -> str:
    """Questions and nothing else, about one person or about many."""
    one = rng.choice(world) if rng.random() < 0.3 else None
    asked = [question(rng, one or rng.choice(world), rng.choice(ATTRIBUTES)) for _ in range(rng.randint(3, 9))]
    return "\n".join(asked)


_WRITERS: tuple[tuple[Callable[[random.Random, list[Person]], str], float], ...] = (
    (_portrait, 0.36),
    (_news, 0.13),
    (_summary, 0.16),
    (_card, 0.22),
    (_register, 0.05),
    (_sheet, 0.08),
)


def main() -> None:
    """Shows twenty documents."""
    for text in islice(documents(people(), seed=1), 20):
        sys.stdout.write(text + "\n---\n")


if __name__ == "__main__":
    main()
