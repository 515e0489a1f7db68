from hypothesis import given
from hypothesis import strategies as st

from evals.layout import WORTH, Row, batches, common, lay, rows

IDS = st.lists(st.integers(0, 3), min_size=1, max_size=6).map(tuple)


@given(st.dictionaries(st.integers(0, 50), st.integers(1, 300), max_size=40), st.integers(1, 1000))
def test_batches_hold_all_and_keep_the_budget(lengths: dict[int, int], budget: int) -> None:
    groups = batches(lengths, budget)
    assert sorted(index for group in groups for index in group) == sorted(lengths)
    for group in groups:
        longest = max(lengths[index] for index in group)
        assert len(group) == 1 or longest * len(group) <= budget
    assert batches(dict(reversed(lengths.items())), budget) == groups


@given(st.dictionaries(st.integers(0, 20), st.tuples(IDS, IDS), min_size=1), st.booleans(), st.integers(0, 3))
def test_each_token_is_predicted_by_the_text_before_it(
    pairs: dict[int, tuple[tuple[int, ...], tuple[int, ...]]], together: bool, skip: int
) -> None:
    units = rows(pairs, together=together)
    assert sorted(index for row in units for index in row.indices) == sorted(pairs)
    skip = min(skip, min(len(row.prompt) for row in units) - 1)
    laid = lay(units, skip, 9)
    looks = iter(laid.looks)
    for number, row in enumerate(units):
        assert len(laid.ids[number]) == len(laid.parts[number]) == len(laid.ids[0])
        for after in row.afters:
            for place in range(len(after)):
                at, column = laid.places[next(looks)]
                assert at == number
                own = laid.parts[number][column]
                seen = [
                    (laid.positions[number][other], laid.ids[number][other])
                    for other in range(column + 1)
                    if laid.parts[number][other] in (0, own)
                ]
                text = (row.prompt + after[:place])[skip:]
                assert seen == list(enumerate(text, start=skip))
    assert next(looks, None) is None


def test_what_prompts_begin_with_is_read_apart_where_it_is_worth_it() -> None:
    long = tuple(range(WORTH + 5))
    assert common([(*long, 1), (*long, 2, 3), (*long, 9)]) == long
    assert common([long, long]) == long[:-1]
    assert common([long]) == common([(1,), (1, 2)]) == common([]) == ()
    assert common([(*long[: WORTH - 1], 77), (*long[: WORTH - 1], 78)]) == ()


def test_many_long_continuations_do_not_share_a_row() -> None:
    after = tuple(range(200))
    assert rows({0: ((1,), after), 1: ((1,), after)}, together=True) == [
        Row((1,), (after,), (0,)),
        Row((1,), (after,), (1,)),
    ]
