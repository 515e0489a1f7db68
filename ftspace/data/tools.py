"""The functions that a conversation may call, and its calls of them, as chat templates take them. Knows no turns."""

import json
from collections.abc import Mapping
from typing import Any

from ftspace.data.cells import RowProblem, unfold


def read_tools(value: Any) -> list[dict[str, Any]]:
    """The functions that may be called, given as a list or as JSON text of one. Raises RowProblem."""
    found = unfold(value)
    if not isinstance(found, list) or not all(isinstance(one, Mapping) for one in found):
        raise RowProblem("tools that are no list of functions")
    return [_plain(one) for one in found]


def read_call(value: Any) -> dict[str, Any]:
    """A tool call with its arguments as a dict, which is what chat templates write out. Raises RowProblem."""
    if not isinstance(value, Mapping):
        raise RowProblem("a tool call that names no function")
    call = _plain(value)
    function = call.get("function", call)
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise RowProblem("a tool call that names no function")
    arguments = function.get("arguments", function.get("parameters", {}))
    function = {"name": function["name"], "arguments": _arguments(arguments)}
    return {**({"id": call["id"]} if call.get("id") else {}), "type": "function", "function": function}


def written_call(said: str) -> Any:
    """The call that a turn of ShareGPT's role function_call writes as JSON. Raises RowProblem."""
    try:
        return json.loads(said)
    except (ValueError, RecursionError) as error:
        raise RowProblem("a tool call that is not JSON") from error


def _arguments(value: Any) -> Any:
    """A call's arguments: JSON text as what it says."""
    if isinstance(value, str):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def _plain(value: Mapping[str, Any]) -> dict[str, Any]:
    """A dict of plain JSON without the nulls that columnar files fill in. Raises RowProblem."""
    try:
        return _without_nulls(json.loads(json.dumps(value, allow_nan=False)))
    except (TypeError, ValueError, RecursionError) as error:
        raise RowProblem("tools or tool calls that are not plain JSON") from error


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(one) for key, one in value.items() if one is not None}
    return [_without_nulls(one) for one in value] if isinstance(value, list) else value
