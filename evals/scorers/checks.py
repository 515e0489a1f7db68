"""Does an answer satisfy a regular expression or a JSON schema. Knows nothing of tasks, models or the network."""

import json
import re
from collections.abc import Sequence
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from jsonschema.validators import validator_for
from referencing import Registry
from referencing.exceptions import Unresolvable

Schema = dict[str, Any] | bool


def _draft(schema: Schema) -> Any:
    return validator_for(schema, default=Draft202012Validator)


def _validator(schema: Schema) -> Any:
    return _draft(schema)(schema, registry=Registry())  # an empty registry: references to the web are not followed


def schema_problem(schema: Schema) -> str | None:
    """Return why `schema` is not a JSON schema, or None if it is one."""
    if isinstance(schema, dict) and not isinstance(schema.get("$schema", ""), str):
        return "`$schema` must be a text"
    try:
        _draft(schema).check_schema(schema)
        next(_validator(schema).iter_errors(None), None)
    except (SchemaError, Unresolvable) as error:
        return str(getattr(error, "message", None) or error)
    except (re.error, RecursionError) as error:
        return f"{type(error).__name__}: {error}"
    return None


def matches(pattern: str, answer: str) -> bool:
    """Return whether the regular expression is found anywhere in the answer (write ^ and $ for the whole of it)."""
    return re.search(pattern, answer) is not None


def valid_json(schema: Schema, answer: str) -> bool:
    """Return whether the whole answer is JSON that is valid for the schema.

    Raises:
        ValueError: the schema itself can't be applied, such as a reference that leads nowhere.
    """
    try:
        value = json.loads(answer)
    except (ValueError, RecursionError):
        return False
    try:
        _validator(schema).validate(value)
    except ValidationError:
        return False
    except (Unresolvable, re.error, RecursionError) as error:
        raise ValueError(f"the JSON schema can't be applied: {error}") from error
    return True


def passes(answer: str, *, regex: str | None, json_schema: Schema | None) -> bool:
    """Return whether the answer satisfies all checks that are given. Raises ValueError as `valid_json` does."""
    if regex is not None and not matches(regex, answer):
        return False
    return json_schema is None or valid_json(json_schema, answer)


def json_like(answer: str, expected: Sequence[str] = ()) -> bool:
    """Return whether the whole answer is JSON; where JSON is expected, of its kind: an object, a list, a number."""
    kinds = {kind for one in expected if (kind := _kind(one)) is not None}
    found = _kind(answer)
    return found is not None and (not kinds or found in kinds)


def is_structured(text: str) -> bool:
    """Return whether the whole text is a JSON object or list."""
    return _kind(text) in (dict, list)


def _kind(text: str) -> type | None:
    """The type of what a text says in JSON, all numbers of one; None when it isn't JSON."""
    try:
        value: Any = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None
    return float if type(value) is int else type(value)


def _no_constant(word: str) -> float:
    raise ValueError(f"{word} is not JSON")
