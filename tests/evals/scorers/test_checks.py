import pytest

from evals.scorers.checks import passes, schema_problem, valid_json

PERSON = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}


def test_regex_is_searched_for() -> None:
    assert passes("It is Rome.", regex="Rome", json_schema=None)
    assert not passes("It is Rome.", regex="^Rome$", json_schema=None)


@pytest.mark.parametrize(
    ("answer", "valid"),
    [
        ('{"name": "Ben"}', True),
        (' {"name": "Ben"}\n', True),
        ('{"name": 1}', False),
        ("{}", False),
        ("Ben", False),
        ("", False),
        ('Sure! {"name": "Ben"}', False),
        ("[" * 100_000, False),
    ],
)
def test_the_whole_answer_must_be_valid_json(answer: str, valid: bool) -> None:
    assert valid_json(PERSON, answer) is valid


def test_both_checks_must_pass() -> None:
    assert passes('{"name": "Ben"}', regex="Ben", json_schema=PERSON)
    assert not passes('{"name": "Ben"}', regex="Anna", json_schema=PERSON)
    assert not passes("Ben", regex="Ben", json_schema=PERSON)
    assert passes("1", regex=None, json_schema=True)


def test_bad_schemas_are_told() -> None:
    assert schema_problem(PERSON) is None
    assert schema_problem(True) is None
    for schema in ({"type": "persn"}, {"$schema": 5}, {"$ref": "#/$defs/none"}, {"pattern": 3}):
        assert schema_problem(schema), schema


def test_references_to_the_web_are_not_followed() -> None:
    far = {"properties": {"a": {"$ref": "https://example.com/schema.json"}}}
    assert schema_problem(far) is None
    with pytest.raises(ValueError, match="can't be applied"):
        valid_json(far, '{"a": 1}')
    with pytest.raises(ValueError, match="can't be applied"):
        valid_json({"properties": {"a": {"pattern": "("}}}, '{"a": "x"}')
