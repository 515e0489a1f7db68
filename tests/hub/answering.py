"""A Hub that answers every request the same, and how this process is told to ask it."""

from typing import Any

import pytest
from huggingface_hub import constants
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send


class Answering:
    """An app that answers every request the same, and keeps what was asked."""

    def __init__(self) -> None:
        self.says: Any = []
        self.status = 200
        self.asked: list[Request] = []

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        self.asked.append(Request(scope))
        answer: Response = JSONResponse(self.says, self.status)
        await answer(scope, receive, send)


def point_at(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Has the client of this process ask another Hub until the test is over."""
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}")
