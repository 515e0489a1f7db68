"""Lets the judges that a run's config names judge its answers. Knows runs; the judging is `evals.judge`."""

from collections.abc import Callable

from evals.endpoint import Meter
from evals.errors import EvalError as EvalProblem
from evals.errors import Stopped
from evals.judge.judges import Judge, parse_judges
from evals.judge.report import JudgeReport, Judging, judge_folder
from ftspace.errors import EvalError
from ftspace.runs import Run
from ftspace.sections import EvalConfig
from ftspace.settings import judge_tokens, resolve_local


def judges_of(chosen: EvalConfig) -> list[Judge]:
    """The judges that a config names, with the tokens of this machine's environment. Raises EvalError."""
    try:
        return parse_judges([str(resolve_local(name) or name) for name in chosen.judges], judge_tokens())
    except EvalProblem as error:
        raise EvalError(f"eval.judges: {error}") from error


def judged(
    run: Run,
    progress: Callable[[str, int, int], None],
    should_stop: Callable[[], bool],
    say: Callable[[str], None],
) -> JudgeReport | None:
    """What the judges said of the run's answers; None, and a word on why, where none could be asked.

    Args:
        run: whose answers lie in its folder.
        progress: called with (judge, done, all it is asked).
        should_stop: True ends with `Stopped`.
        say: told why there is no judgement.
    """
    chosen = run.config.eval
    if not chosen.judges:
        return None
    try:
        judging = Judging(
            folder=run.evals, judges=judges_of(chosen), budget=Meter(chosen.judge_calls, price=chosen.judge_price)
        )
        return judge_folder(judging, progress=progress, should_stop=should_stop)
    except Stopped:
        raise
    except (EvalProblem, EvalError) as error:
        say(f"the judges were not asked: {error}")
        return None
