from email.utils import formatdate
from time import monotonic, time
from typing import Any

import pytest
from starlette.responses import JSONResponse, PlainTextResponse, Response

from evals.endpoint import Failure, Limits, Meter, Question, Result, Text, ask
from evals.errors import ModelError, Stopped, TaskError
from evals.providers import Endpoint, Providers, Target
from tests.loopback_hub import serve
from tests.loopback_judge import TOKEN, LoopbackJudge


def said(text: str | None, finish: str) -> JSONResponse:
    return JSONResponse({"choices": [{"message": {"content": text}, "finish_reason": finish}]})


QUICK = Limits(backoff=0.01, timeout=5)


def asked(target: Target, count: int, limits: Limits = QUICK, **options: Any) -> list[Result]:
    jobs = [(target, Question([{"role": "user", "content": f"say {n}"}])) for n in range(count)]
    found = dict(ask(jobs, limits=limits, **options))
    return [found[place] for place in range(count)]


def test_answers_come_greedily_and_the_token_goes_along() -> None:
    judge = LoopbackJudge()
    with serve(judge) as address:
        found = asked(Endpoint(f"{address}/v1", "big", TOKEN), 20)
    assert [one.text for one in found if isinstance(one, Text)] == [f"say {n}" for n in range(20)]
    assert judge.tokens == {f"Bearer {TOKEN}"}
    assert {(one["model"], one["temperature"], one["max_tokens"]) for one in judge.requests} == {("big", 0, 512)}


@pytest.mark.parametrize(
    ("answer", "calls", "reason"),
    [
        (lambda: PlainTextResponse("no", 503), 3, "HTTP 503: no"),
        (lambda: PlainTextResponse("slow down", 429, {"retry-after": "0.01"}), 3, "HTTP 429: slow down"),
        (lambda: PlainTextResponse("later", 429, {"retry-after": "9999"}), 1, "it asks to wait 9999 s"),
        (lambda: PlainTextResponse(f"not {TOKEN}", 400), 1, "HTTP 400: not [redacted]"),
        (lambda: Response(status_code=307, headers={"location": "http://127.0.0.1:9/"}), 1, "HTTP 307"),
        (lambda: PlainTextResponse("", 401), 1, "the token is missing or wrong"),
        (lambda: PlainTextResponse("hello"), 1, "not JSON"),
        (lambda: JSONResponse({"choices": []}), 1, "not a chat completion"),
        (lambda: said("", "error"), 1, "no answer: it ended with error"),
        (lambda: said("I", "content_filter"), 1, "no answer: it ended with content_filter"),
    ],
)
def test_only_what_may_pass_is_tried_again(answer: Any, calls: int, reason: str) -> None:
    judge = LoopbackJudge(fails=lambda _: answer())
    with serve(judge) as address:
        (found,) = asked(Endpoint(f"{address}/v1", "m", TOKEN), 1, Limits(backoff=0.01, retries=2))
    assert isinstance(found, Failure) and reason in found.reason and TOKEN not in found.reason
    assert found.calls == len(judge.requests) == calls


@pytest.mark.parametrize(
    ("text", "finish", "ended"), [("", "stop", "end"), (None, "stop", "end"), ("", "length", "length")]
)
def test_an_empty_answer_is_an_answer(text: str | None, finish: str, ended: str) -> None:
    with serve(LoopbackJudge(fails=lambda _: said(text, finish))) as address:
        (found,) = asked(Endpoint(f"{address}/v1", "m"), 1)
    assert isinstance(found, Text) and (found.text, found.finish, found.calls) == ("", ended, 1) and found.tokens > 0


def test_what_tries_may_have_cost_is_counted() -> None:
    """Two failures of five tokens or so each and an answer of a hundred; a refusal and a dead address cost nothing."""
    judge = LoopbackJudge(fails=lambda call: PlainTextResponse("oops", 500) if call < 2 else None)
    with serve(judge) as address:
        meter = Meter(price=1.0)
        (found,) = asked(Endpoint(f"{address}/v1", "m"), 1, meter=meter)
        assert isinstance(found, Text) and found.calls == 3 and found.tokens == 100
        assert found.spent == meter.tokens == 100 + 2 * Question([{"role": "user", "content": "say 0"}]).own_tokens
        judge.fails = lambda _: PlainTextResponse("no", 400)
        (refused,) = asked(Endpoint(f"{address}/v1", "m"), 1)
    (dead,) = asked(Endpoint("http://127.0.0.1:9/v1", "m"), 1)
    assert [(type(one), one.spent, one.calls) for one in (refused, dead)] == [(Failure, 0, 1), (Failure, 0, 5)]


def test_retry_after_is_honoured_in_seconds_and_as_a_date() -> None:
    def fails(number: int) -> Response | None:
        headers = ["0.5", formatdate(time() + 2, usegmt=True)]  # a date has whole seconds: it is 1 to 2 s ahead
        return PlainTextResponse("", 429, {"retry-after": headers[number]}) if number < 2 else None

    with serve(LoopbackJudge(fails=fails)) as address:
        started = monotonic()
        (found,) = asked(Endpoint(f"{address}/v1", "m"), 1)
        assert monotonic() - started >= 1.5
    assert isinstance(found, Text) and found.calls == 3


def test_what_is_dead_or_slow_is_given_up() -> None:
    limits = Limits(backoff=0.001, retries=1, give_up=3, concurrency=1, timeout=0.05)
    found = asked(Endpoint("http://127.0.0.1:9/v1", "m"), 9, limits)
    reasons = [one.reason for one in found if isinstance(one, Failure)]
    assert len(reasons) == 9 and "can't be reached" in reasons[0] and "given up after 3" in reasons[8]
    assert sum(one.calls for one in found) == 6
    with serve(LoopbackJudge(delay=0.3)) as address:
        (slow,) = asked(Endpoint(f"{address}/v1", "m"), 1, limits)
    assert isinstance(slow, Failure) and slow.reason == "no answer within 0.05 s" and slow.calls == 2


def test_concurrency_and_budget_are_kept() -> None:
    judge = LoopbackJudge(delay=0.02)
    with serve(judge) as address:
        target = Endpoint(f"{address}/v1", "m")
        asked(target, 12, Limits(concurrency=3))
        assert judge.most_at_once == 3
        meter = Meter(5)
        found = asked(target, 9, meter=meter)
        assert sum(isinstance(one, Text) for one in found) == 5 == meter.calls and len(judge.requests) == 17
        assert {one.reason for one in found if isinstance(one, Failure)} == {"the budget is spent"}
        # A call may take 513 tokens and takes 100: money is never overdrawn, and what was held too much is given back.
        meter = Meter(money=1.0, price=1000.0)
        found = asked(target, 9, Limits(concurrency=2), meter=meter)
        assert sum(isinstance(one, Text) for one in found) == 5 and meter.cost_of(meter.tokens) == 0.5
    with pytest.raises(TaskError, match="price"):
        Meter(money=1.0)


def test_fields_that_a_server_refuses_are_left_out() -> None:
    refuses = {
        "response_format": "no schema here",
        "temperature": "temperature is not supported",
        "max_tokens": "use max_completion_tokens",
    }
    judge = LoopbackJudge(refuses=refuses)
    with serve(judge) as address:
        jobs = [
            (Endpoint(f"{address}/v1", "m"), Question([{"role": "user", "content": "x"}], 9, {"type": "object"}))
        ] * 3
        found = dict(ask(jobs, limits=Limits(concurrency=1)))
    assert [found[n].calls for n in range(3)] == [4, 1, 1]
    assert judge.requests[-1].keys() == {"model", "messages", "max_completion_tokens"}


def test_stopping_drops_what_is_under_way() -> None:
    judge = LoopbackJudge(delay=1.5)
    with serve(judge) as address:
        started = monotonic()
        with pytest.raises(Stopped):
            asked(Endpoint(f"{address}/v1", "m"), 3, should_stop=lambda: bool(judge.requests))
        assert monotonic() - started < 1
        meter = Meter(price=1.0)
        with pytest.raises(Stopped):
            asked(Endpoint(f"{address}/v1", "m"), 1, meter=meter, should_stop=lambda: len(judge.requests) > 3)
    assert meter.tokens > 500, "it may be answered and charged for all the same"


def test_the_hubs_own_client_asks_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(number: int) -> Response | None:
        return PlainTextResponse("", 429, {"retry-after": "0.01"}) if number == 0 else None

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    (off,) = asked(Providers("owner/big", "hf_ofNobody"), 1)
    assert isinstance(off, Failure) and "HF_HUB_OFFLINE" in off.reason
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    judge = LoopbackJudge(fails=fails)
    with serve(judge) as address:
        good = asked(Providers("owner/big", "hf_ofNobody", url=f"{address}/v1"), 2, Limits(concurrency=1))
        # Without an address of one's own the client asks the providers' router, which has no setting: it is moved here.
        monkeypatch.setattr("huggingface_hub.inference._providers.CONVERSATIONAL_AUTO_ROUTER.base_url", address)
        question = Question([{"role": "user", "content": "x"}], 9, {"type": "object"})
        ((_, routed),) = ask([(Providers("owner/big", "hf_ofNobody"), question)])
        assert routed == Text("x", tokens=100, spent=100)
        assert judge.requests[-1].keys() >= {"model", "messages", "max_tokens", "temperature", "response_format"}
        judge.fails = lambda _: PlainTextResponse("not hf_ofNobody", 422)
        (bad,) = asked(Providers("owner/big", "hf_ofNobody", url=f"{address}/v1"), 1)
    assert [(one.text, one.calls) for one in good if isinstance(one, Text)] == [("say 0", 2), ("say 1", 1)]
    assert isinstance(bad, Failure) and "HTTP 422: not [redacted]" in bad.reason
    assert judge.requests[0]["model"] == "owner/big" and judge.tokens == {"Bearer hf_ofNobody"}


@pytest.mark.parametrize("url", ["ftp://host/v1", "host:80", "http://", "http://me:secret@host/v1"])
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(ModelError) as error:
        Endpoint(url, "m")
    assert "secret@" not in str(error.value)
