"""The part of OpenAI's chat protocol that is spoken here: the request, the answers and the errors.

Knows shapes only: no model, no torch, no network.
"""

from collections.abc import Sequence
from typing import Any, Literal, TypeVar

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

Finish = Literal["stop", "length"]
_Body = TypeVar("_Body", bound=BaseModel)


class ApiError(Exception):
    """What the client did wrong, or what went wrong here: an HTTP status and OpenAI's error fields."""

    def __init__(self, status: int, message: str, *, param: str | None = None, code: str | None = None) -> None:
        """`param` names the field at fault; `code` is OpenAI's word for the kind of error."""
        super().__init__(message)
        self.status = status
        self.param = param
        self.code = code

    def body(self) -> dict[str, Any]:
        """The error as OpenAI writes it."""
        kind = "server_error" if self.status >= 500 else "invalid_request_error"
        return {"error": {"message": str(self), "type": kind, "param": self.param, "code": self.code}}


class Turn(BaseModel):
    """One message of a conversation."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    role: Literal["system", "user", "assistant"]
    content: str


class ChatRequest(BaseModel):
    """The body of a request for an answer. Fields of OpenAI's that have no meaning here are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    model: str
    messages: list[Turn] = Field(min_length=1)
    max_tokens: int = Field(default=256, ge=1, validation_alias=AliasChoices("max_completion_tokens", "max_tokens"))
    temperature: float = Field(default=0.0, ge=0, le=2)
    """0, unlike OpenAI's default of 1: a comparison is greedy unless asked otherwise."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    seed: int | None = Field(default=None, ge=0, lt=2**63)
    n: Literal[1] = 1
    stream: bool = False


class LoadRequest(BaseModel):
    """The body of a request to load an adapter, as vLLM's server takes it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    lora_name: str
    lora_path: str


def parse_request(body: bytes) -> ChatRequest:
    """The request in a body. Raises ApiError (400) naming the field at fault."""
    return _parse(ChatRequest, body)


def parse_load(body: bytes) -> LoadRequest:
    """The same, of a request to load an adapter."""
    return _parse(LoadRequest, body)


def _parse(kind: type[_Body], body: bytes) -> _Body:
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        param = ".".join(str(part) for part in first["loc"]) or None
        where = f"{param}: " if param else ""
        raise ApiError(400, f"{where}{first['msg']}", param=param) from error


def completion(chat_id: str, created: int, model: str, text: str, finish: Finish, usage: tuple[int, int]) -> Any:
    """A whole answer; `usage` is tokens read and tokens written."""
    read, written = usage
    return {
        "id": chat_id,
        "object": "chat.completion",
        "created": created,
        "model": model,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text},
                "finish_reason": finish,
                "logprobs": None,
            }
        ],
        "usage": {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written},
    }


def chunk(chat_id: str, created: int, model: str, text: str = "", finish: Finish | None = None) -> Any:
    """A piece of a streamed answer; the last one has no text and says how the answer ended."""
    delta = {} if finish else {"role": "assistant", "content": text}
    return {
        "id": chat_id,
        "object": "chat.completion.chunk",
        "created": created,
        "model": model,
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}],
    }


def model_list(created: int, sides: Sequence[str]) -> Any:
    """The answer to GET /v1/models."""
    models = [{"id": side, "object": "model", "created": created, "owned_by": "ftspace"} for side in sides]
    return {"object": "list", "data": models}
