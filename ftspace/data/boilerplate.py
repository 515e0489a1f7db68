"""What so many rows have that it tells no two apart: an instruction around every question, a greeting, a disclaimer.

Found on rows taken from the whole dataset, so the order of the rows plays no part.
"""

import json
from dataclasses import dataclass

import numpy as np

from evals.grams import Hashes, frequent, grams, hash_words
from ftspace.data.duplicates import SHINGLE
from ftspace.data.gather import Gathered
from ftspace.data.overlap import GRAM
from ftspace.data.sift import said

SAMPLE = 4000
"""Rows looked at, about."""
SHARE, LEAST = 0.1, 20
"""What this share of them has, and so many of them, is boilerplate."""


@dataclass(frozen=True)
class Boilerplate:
    """Hashed and sorted."""

    shingles: Hashes
    """Of questions. Answers that are nearly the same are near-duplicates however many they are."""
    passages: Hashes
    """Of questions and answers: a sentence that ends every answer is no proof that a test row was seen."""


def boilerplate(gathered: Gathered) -> Boilerplate:
    """The shingles and passages that many rows have; the rows looked at are chosen by their content."""
    ids = gathered.table["id"]
    chosen = set(np.argsort(ids, kind="stable")[:SAMPLE].tolist())
    asked: list[list[str]] = []
    spoken: list[list[str]] = []
    with gathered.lines.open("rb") as lines:
        for place, line in enumerate(lines):
            if place in chosen:
                conversation = json.loads(line)["messages"]
                asked.append(said(conversation, ("user",)))
                spoken.append(said(conversation))
    return Boilerplate(
        shingles=frequent(grams(hash_words(asked), SHINGLE), SHARE, LEAST),
        passages=frequent(grams(hash_words(spoken), GRAM), SHARE, LEAST),
    )
