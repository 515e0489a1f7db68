"""How the Hub answers: JSON, errors with the headers that the client chooses its exceptions by, and pages of lists."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

PAGE = 100
"""Most items that an answer lists unless it is asked for more; a Link header leads to the rest."""
LONGEST_PAGE = 1000


class Refused(Exception):
    """A request is answered with an error."""

    def __init__(self, status: int, code: str, message: str, **body: Any) -> None:
        """`code` goes into X-Error-Code; `body` joins the message in the answer."""
        super().__init__(message)
        self.answer = error(status, code, message, **body)


def error(status: int, code: str, message: str, headers: Mapping[str, str] | None = None, **body: Any) -> Response:
    """An error as the Hub words it."""
    told = {"X-Error-Message": message} | ({"X-Error-Code": code} if code else {})
    return JSONResponse({"error": message, **body}, status, headers={**told, **(headers or {})})


def asks(request: Request, name: str) -> bool:
    """Whether a switch of the query is on."""
    return request.query_params.get(name, "").lower() in ("true", "1")


def page(request: Request, items: list[Any], usual: int = PAGE) -> Response:
    """The part of a list that is asked for, and where the next one is."""
    limit = min(int(request.query_params.get("limit") or usual), LONGEST_PAGE)
    start = int(request.query_params.get("cursor") or 0)
    headers: dict[str, str] = {}
    if start + limit < len(items):
        query = [(name, value) for name, value in request.query_params.multi_items() if name != "cursor"]
        url = request.url.replace(query=urlencode([*query, ("cursor", start + limit)]))
        headers["Link"] = f'<{url}>; rel="next"'
    return JSONResponse(items[start : start + limit], headers=headers)
