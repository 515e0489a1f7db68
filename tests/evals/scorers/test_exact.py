import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.scorers.exact import normalize


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
