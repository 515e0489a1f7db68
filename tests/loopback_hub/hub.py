"""The Hub itself: its rooms behind one door, where every request is written down and may fail as planned."""

from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from tests.loopback_hub.accounts import Accounts
from tests.loopback_hub.answers import Refused, error
from tests.loopback_hub.desk import Desk
from tests.loopback_hub.faults import Asked, Fault, befall, first_due
from tests.loopback_hub.finding import Finding
from tests.loopback_hub.jobs import Jobs
from tests.loopback_hub.owning import Owning
from tests.loopback_hub.pages import Pages
from tests.loopback_hub.reading import Reading
from tests.loopback_hub.sign_in import SignIn
from tests.loopback_hub.spaces import Buckets, Spaces
from tests.loopback_hub.writing import Writing


class LoopbackHub(Desk):
    """The ASGI app, the requests that came, and the faults that it shall have."""

    def __init__(self, root: Path) -> None:
        """The Hub of what lies below a folder."""
        super().__init__(root)
        self.requests: list[Asked] = []
        """Every request, in the order that they came."""
        self.faults: list[Fault] = []
        """What shall go wrong; the first that fits a request befalls it."""
        self._times: dict[str, int] = {}
        spaces = Spaces(self)
        rooms = [Accounts(self), spaces, Buckets(self), Owning(self, spaces)]
        self.jobs = Jobs(self)
        """What runs, and what shall become of it."""
        rooms += [self.jobs, Finding(self), Reading(self), Writing(self), SignIn(self), Pages(self)]
        self.routes = [route for room in rooms for route in room.routes()]
        """All that it answers."""
        handlers: dict[Any, Any] = {Refused: _refused, HTTPException: _nowhere, ClientDisconnect: _gone}
        handlers |= dict.fromkeys((AttributeError, LookupError, TypeError, ValueError), _malformed)
        self._routes = Starlette(routes=self.routes, exception_handlers=handlers)

    def forget(self) -> None:
        """Begins a new record, in which requests are counted anew, without faults."""
        self.requests, self.faults, self._times = [], [], {}

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        what = f"{scope['method']} {scope['path']}"
        self._times[what] = self._times.get(what, 0) + 1
        asked = Asked(scope["method"], scope["path"], f"{what} #{self._times[what]}")
        self.requests.append(asked)

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                asked.status = message["status"]
            await send(message)

        fault = first_due(list(self.faults), asked.method, asked.path)
        if fault:
            asked.fault = fault.kind
            await befall(fault, self._routes, scope, receive, noting)
        else:
            await self._routes(scope, receive, noting)


async def _refused(request: Request, refused: Refused) -> Response:
    return refused.answer


async def _nowhere(request: Request, problem: HTTPException) -> Response:
    return error(problem.status_code, "", f"There is nothing here: {problem.detail}")


async def _gone(request: Request, problem: ClientDisconnect) -> Response:
    return Response(status_code=400)


async def _malformed(request: Request, problem: Exception) -> Response:
    return error(400, "", f"Malformed request: {type(problem).__name__} {problem}")
