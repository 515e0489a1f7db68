"""A judge on this machine: OpenAI's chat completions over real HTTP, with a mind of the test's choice.

What it is asked to judge is read from the fences in the prompt, as a model reads it; a conversation without fences is
answered with its last turn. It can be slow, fail now and then, and refuse fields. Needs no network.
"""

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

TOKEN = "sk-ofTheLoopbackJudge"
_FENCED = re.compile(
    r"^<<<(question|reference|answer(?: [AB])?) (\w+)>>>\n(.*?)\n<<<end \2>>>$", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Asked:
    """What the judge sees."""

    prompt: str
    mark: str
    parts: dict[str, str]

    @property
    def answers(self) -> list[str]:
        """In the order shown."""
        return [text for name, text in self.parts.items() if name.startswith("answer")]

    def says(self, **verdict: Any) -> str:
        """A reply in the form that was asked for."""
        return json.dumps({"reason": "so it seems", "mark": self.mark, **verdict})


Mind = Callable[[Asked], str]


def honest(asked: Asked) -> str:
    """Prefers, or rates high, the answer that holds the reference."""
    good = [asked.parts["reference"] in answer for answer in asked.answers]
    if len(good) == 1:
        return asked.says(rating=9 if good[0] else 2)
    return asked.says(verdict="tie" if good[0] == good[1] else "AB"[good.index(True)])


def first(asked: Asked) -> str:
    """Prefers what stands first."""
    return asked.says(verdict="A")


def longer(asked: Asked) -> str:
    """Prefers what is longer."""
    one, other = map(len, asked.answers)
    return asked.says(verdict="A" if one > other else "B")


def garbage(asked: Asked) -> str:
    """Says nothing of use."""
    return "Both answers have their merits. {"


class LoopbackJudge:
    """The ASGI app, and what it was asked.

    Args:
        mind: what it replies.
        fails: from the number of the call, from 0, to the answer that it gives instead; None for none.
        delay: seconds that each reply takes.
        refuses: fields of the payload that it refuses with 400.
    """

    def __init__(
        self,
        mind: Mind = honest,
        *,
        fails: Callable[[int], Response | None] = lambda _: None,
        delay: float = 0,
        refuses: Mapping[str, str] | None = None,
    ) -> None:
        self.mind, self.fails, self.delay, self.refuses = mind, fails, delay, dict(refuses or {})
        self.requests: list[dict[str, Any]] = []
        self.tokens: set[str] = set()
        self.at_once = self.most_at_once = 0
        self._routes = Starlette(routes=[Route("/v1/chat/completions", self._complete, methods=["POST"])])

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        await self._routes(scope, receive, send)

    async def _complete(self, request: Request) -> Response:
        self.tokens.add(request.headers.get("authorization", ""))
        payload = await request.json()
        number = len(self.requests)
        self.requests.append(payload)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(self.delay)
            refused = next((words for name, words in self.refuses.items() if name in payload), None)
            if refused is not None:
                return PlainTextResponse(refused, 400)
            return self.fails(number) or self._said(payload)
        finally:
            self.at_once -= 1

    def _said(self, payload: dict[str, Any]) -> Response:
        prompt: str = payload["messages"][-1]["content"]
        found = _FENCED.findall(prompt)
        asked = Asked(prompt, found[0][1] if found else "", {name: text for name, _, text in found})
        text = self.mind(asked) if found else prompt
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        used = {"prompt_tokens": 90, "completion_tokens": 10, "total_tokens": 100}
        shape = {"id": "1", "created": 0, "model": payload["model"], "object": "chat.completion", "usage": used}
        return JSONResponse(shape | {"choices": [choice], "system_fingerprint": "loopback"})
