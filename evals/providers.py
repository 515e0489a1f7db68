"""Where models are asked over HTTP: an OpenAI-compatible address, or Hugging Face's Inference Providers.

Knows how one call is sent and what an error means; knows nothing of retries, limits or what is asked. A token is sent
to its own endpoint only and stands in no message.
"""

import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import Any, Literal, Protocol
from urllib.parse import urlsplit

from evals.errors import ModelError, one_line
from evals.redact import hide

Send = Callable[[dict[str, Any]], Awaitable[Any]]
"""Sends one payload and gives the JSON document that comes; raises Refused or TimeoutError."""
_FIELDS = ("messages", "max_tokens", "temperature", "response_format")
"""Of the payload, what the Hub's client knows by name."""
_AGAIN = (408, 409, 425, 429)
_CLOSED = {
    401: "the token is missing or wrong",
    402: "the account has no credit left",
    403: "the token does not allow it",
    404: "there is no such model or address",
}


class Refused(Exception):
    """A call that brought no answer."""

    def __init__(
        self,
        reason: str,
        *,
        status: int = 0,
        again: bool = False,
        closed: bool = False,
        wait: float | None = None,
        paid: bool = False,
    ) -> None:
        super().__init__(reason)
        self.reason, self.status = reason, status
        self.again = again
        """Whether the same call may bring one later."""
        self.closed = closed
        """Whether no call to this endpoint will."""
        self.wait = wait
        """Seconds that the server asks to wait."""
        self.paid = paid
        """Whether the question may have been worked on, and be charged."""


class Target(Protocol):
    """A model that can be asked over HTTP. Equal ones share their limits."""

    @property
    def model(self) -> str:
        """Its name there."""
        ...

    @property
    def url(self) -> str | None:
        """Its base address; None where the Hub finds it."""
        ...

    @property
    def place(self) -> str:
        """Where that is, to be shown."""
        ...

    def connect(self, timeout: float) -> AbstractAsyncContextManager[Send]:
        """A connection for as long as the context lasts."""
        ...

    def __hash__(self) -> int: ...


@dataclass(frozen=True)
class Endpoint:
    """A model behind an address that takes OpenAI's chat completions. Raises ModelError for an address that is none."""

    url: str
    """Its base address, such as http://127.0.0.1:8000/v1."""
    model: str
    token: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or not self.model:
            raise ModelError(f"{self.url}#{self.model}: not an endpoint; write it like http://host:8000/v1#model")
        if parts.username or parts.password:
            raise ModelError(f"the address of {self.model} at {parts.hostname} holds a password; give it as a token")

    @property
    def place(self) -> str:
        """Host and port."""
        return urlsplit(self.url).netloc

    @asynccontextmanager
    async def connect(self, timeout: float) -> AsyncGenerator[Send]:
        """An HTTP client for as long as the context lasts; redirects are not followed."""
        import httpx2

        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        address = f"{self.url.rstrip('/')}/chat/completions"
        through_proxy = not _loopback(urlsplit(self.url).hostname or "")
        async with httpx2.AsyncClient(headers=headers, timeout=timeout, trust_env=through_proxy) as client:

            async def send(payload: dict[str, Any]) -> Any:
                try:
                    response = await client.post(address, json={"model": self.model, **payload})
                except httpx2.TimeoutException as error:
                    raise TimeoutError from error
                except (httpx2.HTTPError, httpx2.InvalidURL) as error:
                    raise self._unreachable(error) from error
                if response.status_code != 200:
                    raise _refused(response.status_code, response.headers, hide(response.text, self._secrets))
                return _document(response.json)

            yield send

    @property
    def _secrets(self) -> list[str]:
        return [self.token] if self.token else []

    def _unreachable(self, error: Exception) -> Refused:
        import httpx2

        said = hide(one_line(error), self._secrets)
        connected = not isinstance(error, httpx2.ConnectError)
        return Refused(f"{self.place} can't be reached: {said}", again=True, paid=connected)


@dataclass(frozen=True)
class Providers:
    """A Hub model, asked through Hugging Face's Inference Providers."""

    model: str
    """Its Hub id."""
    token: str | None = field(default=None, repr=False)
    """A Hub token; None takes the one that is logged in."""
    url: str | None = None
    """The address of an Inference Endpoint of one's own that serves the model, instead of the providers' router."""

    @property
    def place(self) -> str:
        """Host and port, or the service's name."""
        return urlsplit(self.url).netloc if self.url else "Inference Providers"

    @asynccontextmanager
    async def connect(self, timeout: float) -> AsyncGenerator[Send]:
        """The Hub's own client for as long as the context lasts."""
        import httpx2
        from huggingface_hub import AsyncInferenceClient, get_token
        from huggingface_hub.errors import HfHubHTTPError, InferenceTimeoutError, OfflineModeIsEnabled

        secrets = [one for one in (self.token, get_token()) if one]
        async with AsyncInferenceClient(base_url=self.url, token=self.token, timeout=timeout) as client:

            async def send(payload: dict[str, Any]) -> Any:
                try:
                    known = {name: value for name, value in payload.items() if name in _FIELDS}
                    rest = {name: value for name, value in payload.items() if name not in _FIELDS}
                    return await client.chat_completion(model=self.model, extra_body=rest or None, **known)
                except OfflineModeIsEnabled as error:
                    raise Refused("the Hub is off: HF_HUB_OFFLINE is set", closed=True) from error
                except InferenceTimeoutError as error:
                    raise TimeoutError from error
                except HfHubHTTPError as error:
                    said = hide(error.response.text or str(error), secrets)
                    raise _refused(error.response.status_code, error.response.headers, said) from error
                except httpx2.HTTPError as error:
                    said = hide(one_line(error), secrets)
                    connected = not isinstance(error, httpx2.ConnectError)
                    raise Refused(f"{self.place} can't be reached: {said}", again=True, paid=connected) from error
                except (ValueError, TypeError) as error:  # no token, a token that is none, or an answer that is none
                    raise Refused(hide(one_line(error), secrets)) from error

            yield send


@dataclass(frozen=True)
class Dialect:
    """Which of the payload's fields a server takes: it is asked with all, and with fewer once it refuses one."""

    schema: bool = True
    temperature: bool = True
    limit: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"

    def of(
        self, messages: Sequence[Mapping[str, str]], max_tokens: int, schema: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        """The payload of a call, the model's name left out."""
        payload: dict[str, Any] = {"messages": [dict(turn) for turn in messages]}
        payload[self.limit] = max_tokens
        if self.temperature:
            payload["temperature"] = 0.0
        if schema is not None and self.schema:
            form = {"name": "answer", "schema": dict(schema), "strict": True}
            payload["response_format"] = {"type": "json_schema", "json_schema": form}
        return payload

    def adapted(self, payload: Mapping[str, Any], refused: Refused) -> "Dialect | None":
        """How to ask instead, when the refusal is one of a field; None when it is not.

        Models that reason take another name for the limit, and no temperature; some servers take no schema.
        """
        if refused.status not in (400, 415, 422, 501):
            return None
        if "max_completion_tokens" in refused.reason and "max_tokens" in payload:
            return replace(self, limit="max_completion_tokens")
        if "temperature" in refused.reason and "temperature" in payload:
            return replace(self, temperature=False)
        return replace(self, schema=False) if "response_format" in payload else None


def _refused(status: int, headers: Mapping[str, str], said: str) -> Refused:
    """What a status means."""
    words = one_line(Exception(" ".join(said.split())), 200)
    reason = f"HTTP {status}: {_CLOSED.get(status) or words or 'no reason given'}"
    again = status in _AGAIN or (status >= 500 and status != 501)
    wait = _seconds(headers.get("retry-after", "")) if again else None
    return Refused(reason, status=status, again=again, closed=status in _CLOSED, wait=wait, paid=status >= 500)


def _seconds(retry_after: str) -> float | None:
    """The header's seconds, or those until its date; None when it is neither."""
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except ValueError:
        return None


def _document(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except (ValueError, RecursionError) as error:
        raise Refused("what came is not JSON", paid=True) from error


def _loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
