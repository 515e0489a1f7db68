import pytest
from starlette.responses import PlainTextResponse

from evals.errors import EvalError
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


def test_an_endpoint_that_answers_nothing_is_an_error() -> None:
    with (
        serve(LoopbackJudge(fails=lambda _: PlainTextResponse("no", 401))) as address,
        pytest.raises(EvalError, match=r"big answered none of 4 questions: .*token is missing"),
    ):
        answers(QUESTIONS, Reference(f"{address}/v1", "big"), 8)
