from importlib import import_module

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.scorers.exact import contains, exact_match, normalize


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Rome", "rome."),
        ('"Rome"', " ROME!\n"),
        ("Straße", "STRASSE"),
        ("light  blue", "Light blue"),
        ("**4**", "4"),
        ("ｆｕｌｌ", "full"),
    ],
)
def test_what_a_reader_overlooks_is_equal(one: str, other: str) -> None:
    assert normalize(one) == normalize(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("3.14", "314"), ("-5", "5"), ("A", "the"), ("Rome", "Rome is it"), ("?", "!"), ("C++", "C"), ("50%", "50")],
)
def test_what_matters_stays_different(one: str, other: str) -> None:
    assert normalize(one) != normalize(other)


@given(st.text())
def test_normal_stays_normal_and_something_stays_something(text: str) -> None:
    assert bool(normalize(text)) == bool(text.split())
    assert normalize(f"  {text}\n") == normalize(text)


TEXTS = st.text("aA b.\"' \n\u00a0ß*", max_size=6) | st.text(max_size=6)


@settings(deadline=None)  # its import takes long
@given(TEXTS, st.lists(TEXTS, min_size=1, max_size=3))
def test_exact_match_is_what_lighteval_says(answer: str, accepted: list[str]) -> None:
    import_module("evals.lighteval")  # restores what the import switches off
    from lighteval.metrics.metrics_sample import ExactMatches
    from lighteval.models.model_output import ModelResponse
    from lighteval.tasks.requests import Doc

    theirs = ExactMatches(normalize_gold=normalize, normalize_pred=normalize, strip_strings=True)
    doc = Doc(query="", choices=accepted, gold_index=list(range(len(accepted))))
    assert exact_match(answer, accepted) == theirs.compute(doc, ModelResponse(text=[answer]))
    assert exact_match(accepted[0], accepted) == bool(accepted[0])


@pytest.mark.parametrize(
    ("answer", "accepted", "there"),
    [
        ("It is Rome, of course.", "rome", True),
        ("He lives in New  York.", "new york", True),
        ("The party was good", "art", False),
        ("It is 3.14", "3", False),
        ("It is 3.14", "14", False),
        ("It is 1,000", "1", False),
        ("It is -5 degrees", "5", False),
        ("It is -5 degrees", "-5", True),
        ("Pages 3-5", "5", True),
        ("They are 3, 4 and 5.", "5", True),
        ("I like C++", "C", False),
        ("I like C++", "C++", True),
        ("我住在北京。", "北京", True),
        ("我住在北京。", "上海", False),
        ("東京タワーです", "タワー", True),
        ("वह किताब है", "क", False),
        ("वह किताब है", "किताब", True),
        ("Iñtërnâtiônàl", "nàl", False),
        ("It is _Rome_, I think", "Rome", True),
        ("", "Rome", False),
    ],
)
def test_an_accepted_answer_stands_in_it_as_whole_words(answer: str, accepted: str, there: bool) -> None:
    assert contains(answer, [accepted]) == there
    assert contains(answer, ["something else", accepted]) == there


@given(st.text(), st.text(), st.text())
def test_an_answer_among_others_is_found(before: str, wanted: str, after: str) -> None:
    assert contains(f"{before} | {wanted} | {after}", [wanted]) == bool(normalize(wanted))
