"""Which test rows have been seen in training: runs of 13 words that both hold. Knows arrays, no conversations.

Thirteen words in a row are the usual measure of contamination (Brown et al. 2020, GPT-3, appendix C).
"""

import numpy as np

from evals.grams import Hashes, Mask, Words, contains, grams

GRAM = 13
"""Words in a row that count as the same passage."""
_BLOCK = 2_000_000
"""Words looked at in one go."""
_TEST_BLOCK = 4_000_000
"""Words of test rows kept in memory at a time; a larger test split is compared in several passes."""
_TABLE = np.uint64(2**26)


def shared_passages(words: Words, train: Mask, test: Mask, boilerplate: Hashes) -> tuple[Mask, Mask]:
    """The training rows and the test rows that hold a passage of the other side.

    `boilerplate` are hashed passages, sorted, that most rows have and that therefore say nothing.
    """
    seen = np.zeros(len(train), dtype=bool)
    asked = np.zeros(len(train), dtype=bool)
    for test_rows, test_words in words.blocks(test, _TEST_BLOCK):
        passages = grams(test_words, GRAM, boilerplate)
        known = np.unique(passages.values)
        if not len(known):
            continue
        found = np.zeros(len(known), dtype=bool)
        likely = np.zeros(_TABLE, dtype=bool)  # a quick look that lets few others through spares most searches
        likely[known % _TABLE] = True
        for train_rows, train_words in words.blocks(train, _BLOCK):
            looked = grams(train_words, GRAM)
            hits = likely[looked.values % _TABLE]
            hits[hits] = contains(known, looked.values[hits])
            found[np.searchsorted(known, looked.values[hits])] = True
            seen[train_rows[looked.rows[hits]]] = True
        asked[test_rows[np.unique(passages.rows[contains(known[found], passages.values)])]] = True
    return seen, asked
