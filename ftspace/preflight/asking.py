"""Whether a run's evaluation can be asked: its tasks, metrics, judges and models; trackers and decisions too.

Knows neither torch nor screens, and fetches nothing but the datasets of tasks that are about to be asked.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path

from evals.errors import EvalError as TaskProblem
from evals.judge.judges import RemoteJudge
from evals.metrics import check_chosen
from evals.providers import Providers
from evals.tasks import SUITES, Task, resolve_tasks
from ftspace.access import Visitor
from ftspace.checks import Check
from ftspace.config import RunConfig
from ftspace.data.review import find_review, read_review
from ftspace.errors import ConfigError, EvalError, FtspaceError
from ftspace.judging import judges_of
from ftspace.runs import RunStore, is_run_id
from ftspace.sections import EvalConfig
from ftspace.settings import ASSETS, ROOT, resolve_local

HELDOUT = "heldout"
"""The task made of the run's own test split."""
CHECKPOINT = re.compile(r"checkpoint-(\d{1,9})")
"""How `eval.earlier` names a checkpoint of the run itself."""


def check_trackers(config: RunConfig) -> None:
    """Raises ConfigError when a tracker of `train.report_to` is not installed."""
    missing = [name for name in config.train.report_to if find_spec(name) is None]
    if missing:
        raise ConfigError(f"train.report_to: {missing[0]} is not installed; pip install {' '.join(missing)}")


def check_review(config: RunConfig) -> None:
    """Raises DatasetError when the decisions that the config names are not there or cannot be read."""
    if path := find_review(config.data.review):
        read_review(path)


def look_at_asking(config: RunConfig, store: RunStore, visitor: Visitor) -> Iterator[Check]:
    """The lines of tasks, metrics, judges and further models: can an evaluation ask them?"""
    asked = config.eval
    told = f"both are asked {', '.join(asked.tasks)}" if asked.tasks else "none is asked, so nothing is compared"
    kept = f"; must not be lost: {', '.join(asked.forgetting)}" if asked.forgetting else ""
    yield from _tried("tasks", lambda: check_tasks(config), f"{told}{kept}")
    yield from _tried("metrics", lambda: _check_metrics(asked), ", ".join(asked.metrics))
    yield from _tried("judges", lambda: judges_of(asked), ", ".join(asked.judges))
    yield from _tried("compared too", lambda: _check_earlier(asked, store, visitor), ", ".join(asked.earlier))


def tokens_of_judges(config: RunConfig) -> dict[str, str | None]:
    """The judges of the Hub that a run asks, each with the token of its own; None where it takes the run's."""
    try:
        judges = judges_of(config.eval)
    except FtspaceError:  # which `look_at_asking` tells
        return {}
    return {
        name: one.target.token
        for name, one in zip(config.eval.judges, judges, strict=True)
        if isinstance(one, RemoteJudge) and isinstance(one.target, Providers)
    }


def _tried(what: str, look: Callable[[], object], said: str) -> Iterator[Check]:
    """The stop of what a look raises, else an ok line where there is something to say."""
    try:
        look()
    except FtspaceError as error:
        yield Check.stop(what, error)
        return
    if said:
        yield Check("ok", what, said)


def _check_metrics(asked: EvalConfig) -> None:
    try:
        check_chosen(asked.metrics, embedding=asked.embedding_model is not None)
    except TaskProblem as error:
        raise EvalError(f"eval.metrics: {error}") from error
    if asked.embedding_model and (path := resolve_local(asked.embedding_model)) and not path.is_dir():
        raise EvalError(f"eval.embedding_model: {path} is a file; give the folder of a model, or a Hub id")


def _check_earlier(asked: EvalConfig, store: RunStore, visitor: Visitor) -> None:
    for name in asked.earlier:
        path = resolve_local(name)
        if is_run_id(name):
            store.visible(name, visitor)
        elif path is not None and not (path / "adapter_config.json").is_file():
            raise EvalError(f"eval.earlier: {path} holds no adapter (adapter_config.json is missing)")
        elif path is None and not CHECKPOINT.fullmatch(name) and name.count("/") != 1:
            raise EvalError(
                f"eval.earlier: {name} is neither a checkpoint of this run (checkpoint-40) nor a run's id, nor an "
                "adapter's folder or Hub id; name one of these"
            )


def check_tasks(config: RunConfig) -> None:
    """Raises EvalError for a task that there is not, whose file is none, or named twice; fetches no dataset."""
    known: dict[object, str] = {}
    for field, name in _asked(config):
        if not _is_own(name) and (wrong := _no_task(name)):
            raise EvalError(f"eval.{field}: {wrong}")
        if (other := known.setdefault(_meant(name), name)) != name:
            raise EvalError(f"eval.{field}: {other} and {name} are one task by name; give it once")
        if _is_file(name):
            _resolved(field, name, online=False)


def tasks_of(config: RunConfig, say: Callable[[str], None]) -> list[Task]:
    """The tasks that the config names, each with its role; `heldout` is none of them.

    Datasets of LightEval's tasks are fetched, unless the Hub is not to be asked; `say` is told of one that cannot be
    had. Raises EvalError for a file that cannot be read.
    """
    found: list[Task] = []
    for field, name in _asked(config):
        try:
            found.append(_resolved(field, name, online=not config.hub.offline))
        except EvalError as error:
            if _is_own(name) or name.endswith((".jsonl", ".json")):
                raise
            say(f"{name} is not asked: {error}")
    return found


def _asked(config: RunConfig) -> list[tuple[str, str]]:
    named = [("tasks", name) for name in config.eval.tasks]
    named += [("forgetting", name) for name in config.eval.forgetting]
    return [one for one in named if one[1] != HELDOUT]


def _resolved(field: str, name: str, *, online: bool) -> Task:
    role = "gain" if field == "tasks" else "forgetting"
    try:
        return resolve_tasks([str(resolve_local(name)) if _is_file(name) else name], role=role, online=online)[0]
    except TaskProblem as error:
        raise EvalError(f"eval.{field}: {error}") from error


def _is_file(name: str) -> bool:
    path = resolve_local(name)
    return path is not None and path.is_file()


def _is_own(name: str) -> bool:
    """Whether a name is a file's or a bundled suite's; others may be LightEval's."""
    return name in SUITES or _is_file(name)


def _meant(name: str) -> object:
    """What two names of one task have in common."""
    from evals.lighteval.names import parse_name

    return Path(name).stem if _is_own(name) else parse_name(name)


def _no_task(name: str) -> str:
    """Why a name that is no file's is no task's either; "" where LightEval may have it: its files are only read."""
    from evals.lighteval.names import modules_of, parse_name, unknown

    bundled = [str(one.relative_to(ROOT)) for one in sorted((ASSETS / "tasks").glob("*.jsonl"))]
    near = _near(name, [HELDOUT, *SUITES, *bundled])
    if near or name.endswith((".jsonl", ".json")) or "/" in name:
        return f"there is no task {name}{near}; give the path of a JSONL file, {HELDOUT} or {' or '.join(SUITES)}"
    try:
        asked, _ = parse_name(name)
    except TaskProblem as error:
        return str(error)
    return "" if modules_of(asked) else str(unknown(asked))


def _near(name: str, there_are: Iterable[str]) -> str:
    """A question after the name that was meant, where one of those there are is like it."""
    stems = {Path(one).stem: one for one in there_are}
    found = get_close_matches(Path(name).stem, stems, n=1, cutoff=0.7)
    return f" (did you mean {stems[found[0]]}?)" if found else ""
