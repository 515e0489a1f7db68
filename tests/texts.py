"""What of a tokenized conversation is trained, as text: shared by the tests of rendering."""

from ftspace.supervision import IGNORED


def trained_texts(tokenizer, row) -> list[str]:
    texts, current = [], []
    for token, label in zip([*row.input_ids, 0], [*row.labels, IGNORED], strict=True):
        if label == IGNORED:
            texts += [tokenizer.decode(current)] if current else []
            current = []
        else:
            assert label == token
            current.append(token)
    return texts
