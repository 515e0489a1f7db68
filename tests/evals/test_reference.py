from pathlib import Path

import pytest
from starlette.responses import JSONResponse, PlainTextResponse

from evals.cache import open_cache
from evals.errors import EvalError, Stopped
from evals.plan import Reference
from evals.reference import answers, unanswered
from evals.tasks import parse_task
from tests.loopback_hub import serve
from tests.loopback_judge import LoopbackJudge

QUESTIONS = parse_task(
    "echo", "\n".join(f'{{"question": "say {n}", "answer": ["x", "Say {n}"]}}' for n in range(4)), ""
)


def test_only_what_failed_is_asked_again() -> None:
    endpoint = LoopbackJudge(fails=lambda call: PlainTextResponse("too long", 400) if call == 2 else None)
    with serve(endpoint) as address:
        reference, steps = Reference(f"{address}/v1", "big"), list[tuple[int, int]]()
        found = answers(QUESTIONS, reference, 8)
        (failed,) = (sample for sample in found if unanswered(sample))
        assert "too long" in str(failed.unscored) and failed.output == ""
        whole = answers(QUESTIONS, reference, 8, found, progress=lambda *step: steps.append(step))
        assert len(endpoint.requests) == 5 and steps == [(4, 4)]
        assert [one.output for one in whole] == [f"say {n}" for n in range(4)]
        assert [one.id for one in whole] == list("0123") and whole[0].prompt == "user: say 0"
        assert {(one.expected, one.finish, one.unscored) for one in whole} >= {(("x", "Say 0"), "end", None)}


def test_what_was_answered_before_a_stop_is_not_paid_for_again(tmp_path: Path) -> None:
    endpoint = LoopbackJudge(fails=lambda _: None)
    cache = open_cache(tmp_path / "answers.jsonl")
    with serve(endpoint) as address:
        reference, came = Reference(f"{address}/v1", "big"), list[tuple[int, int]]()
        with pytest.raises(Stopped):
            answers(
                QUESTIONS,
                reference,
                8,
                cache=cache,
                progress=lambda *step: came.append(step),
                should_stop=lambda: len(came) > 1,
            )
        before = len(endpoint.requests)
        found = answers(QUESTIONS, reference, 8, cache=open_cache(tmp_path / "answers.jsonl"))
        assert len(endpoint.requests) == before + 4 - len(came) and came
        assert [one.output for one in found] == [f"say {n}" for n in range(4)]
        answers(QUESTIONS, Reference(f"{address}/v1", "other"), 8, cache=open_cache(tmp_path / "answers.jsonl"))
        assert len(endpoint.requests) == before + 8 - len(came), "another model answers for itself"


def test_an_empty_answer_is_scored_and_not_asked_again() -> None:
    empty = {"choices": [{"message": {"content": ""}, "finish_reason": "stop"}]}
    with serve(LoopbackJudge(fails=lambda call: JSONResponse(empty) if call == 0 else None)) as address:
        found = answers(QUESTIONS, Reference(f"{address}/v1", "big"), 8)
    assert [one.output for one in found].count("") == 1
    assert not any(unanswered(one) for one in found) and all(one.unscored is None for one in found)


def test_an_endpoint_that_answers_nothing_is_an_error() -> None:
    with (
        serve(LoopbackJudge(fails=lambda _: PlainTextResponse("no", 401))) as address,
        pytest.raises(EvalError, match=r"big answered none of 4 questions: .*token is missing"),
    ):
        answers(QUESTIONS, Reference(f"{address}/v1", "big"), 8)
