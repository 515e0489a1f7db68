"""The one list of what can be known of a run before it is made: for the app's screen, the command, and `check`.

What asks the Hub is asked at once, in threads, and waited for ten seconds in all; where it takes longer the line says
so. `check` waits as long as it takes, and raises the first stop: nothing is started that would end with it.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

from ftspace.access import OWNER, Visitor
from ftspace.budgets import budget_of
from ftspace.checks import Check, Level
from ftspace.config import RunConfig
from ftspace.data.prepare import Preview
from ftspace.errors import ConfigError, DatasetError, EvalError, FtspaceError, HubError, ModelError
from ftspace.hub.finding.find import Kind
from ftspace.hub.licenses import beside
from ftspace.hub.push.target import Target, look_at_target
from ftspace.hub.token import Asked, ask_token
from ftspace.launchers.processes import check_processes, processes_of, together
from ftspace.preflight import asking, sizes
from ftspace.preflight.at_once import Look, Patience
from ftspace.preflight.base import ACCESS, SeenBase, check_precision, look_at_base
from ftspace.preflight.hub import Source, judge_lines, needs, push_line, token_line
from ftspace.preflight.hub_job import look_at_flavor, priced_there
from ftspace.preflight.rows import ROWS, SeenRows, check_tokens, find_dataset, look_at_rows, tried
from ftspace.redact import redact
from ftspace.runs import RunStore
from ftspace.settings import read_settings, resolve_local
from ftspace.starting import check_start

SECONDS = 10.0
"""How long the Hub is waited for in all."""
_OF_THE_ROWS = ("length", "answers", "rows")
"""Checks that blame the rows, not the model."""


@dataclass(frozen=True)
class Checked:
    """What was seen before a run is made."""

    checks: list[Check]
    preview: Preview | None = None
    """The dataset's first rows, where they could be read."""

    @property
    def warnings(self) -> list[str]:
        """What a person should know before starting, one line each."""
        return [str(check) for check in self.checks if check.level == "warning"]

    @property
    def level(self) -> Level:
        """That of the worst line."""
        there: set[Level] = {one.level for one in self.checks}
        return "stop" if "stop" in there else "warning" if "warning" in there else "ok"


def check(config: RunConfig, runs_dir: Path, visitor: Visitor = OWNER) -> Checked:
    """Raises the FtspaceError that the run would end with, as far as it shows already; returns what was seen.

    `visitor` is whose the run will be: others' runs can be asked too where they may be seen.
    """
    found = examine(config, runs_dir, visitor, seconds=None, count=False)
    for one in found.checks:
        if one.level == "stop":
            raise one.error or _error(one)
    return found


def examine(
    config: RunConfig,
    runs_dir: Path,
    visitor: Visitor = OWNER,
    *,
    seconds: float | None = SECONDS,
    count: bool = True,
) -> Checked:
    """All lines, stops among them; raises nothing.

    Args:
        config: of the run.
        runs_dir: where it would be made.
        visitor: whose it will be.
        seconds: how long the Hub is waited for in all; None for as long as it takes.
        count: count the dataset's rows, so that rows left and a time can be told.
    """
    early = [*sizes.room(runs_dir), *tried("settings", lambda: check_secrets(config) or [])]
    if early:  # nothing is asked of the Hub with what may be a secret
        return Checked(early)
    base_here, data_here = _local(config.model.id), _local(config.data.id)
    asks, never = Patience(seconds), Patience(None)
    base_look, data_look = Look(lambda: look_at_base(config)), Look(lambda: find_dataset(config))
    target_look, job_look = Look(lambda: _target(config)), Look(lambda: look_at_flavor(config))
    token_look = Look(ask_token) if needs(config, []) else None
    judges_look = Look(lambda: {name: ask_token(one) for name, one in asking.tokens_of_judges(config).items()})
    data = data_look.within(never if data_here else asks) or SeenRows([_late("dataset")], late=True)
    if data.whole and not data_here:
        import_module("datasets")  # takes seconds, which are not the Hub's
    rows_look = Look(lambda: look_at_rows(config, data, count=count))
    asked_of = list(_asked_of(config, RunStore(runs_dir), visitor))
    base = base_look.within(never if base_here else asks) or SeenBase([_late("base")], late=True)
    rows = rows_look.within(never if data_here else asks) or replace(data, checks=[*data.checks, _late("dataset")])
    sources = _sources(config, base, rows)
    if token_look is None and needs(config, sources):
        token_look = Look(ask_token)
    sized_look = Look(lambda: _sized(config, base, rows, runs_dir))
    target = target_look.within(asks)
    if config.hub.push and target is None:
        target = HubError(f"the Hub did not say in time whether {config.hub.push} is free; look again later")
    asked = token_look.within(asks) if token_look else None
    if token_look and asked is None:
        asked = Asked(trouble="unreachable", detail="the Hub did not say in time whose token this is")
    judges = judges_look.within(asks)
    token = token_line(config, sources, asked, target if isinstance(target, Target) else None)
    refused = asked is not None and asked.trouble == "refused"
    jobs = job_look.within(asks)
    sized = sized_look.within(never if base_here else asks)
    lines = [
        *([token] if refused else []),  # else every refusal is blamed on what was asked for
        *base.checks,
        *([_late("Hub job")] if jobs is None else jobs),
        *asked_of,
        *([_late("judge's token")] if judges is None else judge_lines(judges)),
        *rows.checks,
        *([_late("memory")] if sized is None else sized),
        *_licenses(config, base, rows, sources),
        *([] if refused else [token, *push_line(config, sources, asked, target)]),
    ]
    return Checked(_disk_first(lines), rows.preview)


def check_launcher(config: RunConfig) -> None:
    """Raises ConfigError where what the config's launcher needs is not here."""
    if config.launch.launcher == "zerogpu" and not read_settings().zero_gpu:
        raise ConfigError(
            "launch.launcher zerogpu needs a Space with ZeroGPU, and this is none; set launch.launcher to local, or "
            "choose ZeroGPU as the hardware in the settings of your Space"
        )


def check_secrets(config: RunConfig) -> None:
    """Raises ConfigError for a config with a token in it, since configs are written down and shown."""
    for section, fields in config.model_dump(mode="json").items():
        for name, value in fields.items():
            if redact(json.dumps(value)) != json.dumps(value):
                raise ConfigError(
                    f"{section}.{name} holds a token or a password, and a run's config is no place for one"
                )


def _licenses(config: RunConfig, base: SeenBase, rows: SeenRows, sources: Sequence[Source]) -> list[Check]:
    """The line of both licenses; none where one of the two could not be looked at."""
    if any(one.state != "read" for one in sources):
        return []
    here = {
        "base_here": _local(config.model.id) or base.repository is None,  # offline nothing is said
        "data_here": _local(config.data.id) or rows.repository is None,
    }
    return [beside(base.terms, rows.terms, **here)]


def _asked_of(config: RunConfig, store: RunStore, visitor: Visitor) -> Iterator[Check]:
    """Number format, the adapter to go on from, trackers, budget, and what the evaluation asks."""
    yield from tried("launcher", lambda: check_launcher(config) or [])
    yield from tried("number format", lambda: check_precision(config) or [])
    if config.lora.start_from:
        said = Check("ok", "start", f"the training goes on from the adapter {config.lora.start_from}")
        yield from tried("start", lambda: check_start(config, store, visitor) or [said])
    if config.train.report_to:
        said = Check("ok", "trackers", f"{', '.join(config.train.report_to)} can be told of the run")
        yield from tried("trackers", lambda: asking.check_trackers(config) or [said])
    yield from tried("processes", lambda: _processes(config))
    yield from tried("budget", lambda: _budget(config))
    yield from asking.look_at_asking(config, store, visitor)
    if config.data.review:
        said = Check("ok", "review", f"the decisions in {config.data.review} can be read")
        yield from tried("review", lambda: asking.check_review(config) or [said])


def _processes(config: RunConfig) -> list[Check]:
    check_processes(config)
    if not together(config):
        return []
    here, machines = processes_of(config), config.launch.nnodes
    said = f"{here} processes train together"
    if machines > 1:
        said = f"{here} of this machine and those of {machines - 1} more meet at {config.launch.rdzv_endpoint}"
    return [Check("ok", "processes", said)]


def _budget(config: RunConfig) -> list[Check]:
    budget = budget_of(priced_there(config).train)
    return [Check("ok", "budget", f"the training is stopped after {budget.said}")] if budget else []


def _sized(config: RunConfig, base: SeenBase, rows: SeenRows, runs_dir: Path) -> list[Check]:
    """The lines that need both base and rows; none where one of them is not there."""
    if rows.preview is None or not base.whole:
        return []
    talks = rows.preview.conversations
    tokens = tried("tokenizer", lambda: check_tokens(config, talks[:ROWS]))
    if any(one.level == "stop" for one in tokens):
        return tokens
    return [*tokens, *sizes.look_at_sizes(config, talks, rows.splits, runs_dir, rows.doubts)]


def _target(config: RunConfig) -> Target | HubError | None:
    try:
        return look_at_target(config.hub.push, whole=config.lora.method == "full") if config.hub.push else None
    except HubError as error:
        return error


def _sources(config: RunConfig, base: SeenBase, rows: SeenRows) -> list[Source]:
    """What of the two is the Hub's, and whether it could be read."""
    found: list[Source] = []
    seen: Sequence[tuple[Kind, str, SeenBase | SeenRows]] = (
        ("model", config.model.id, base),
        ("dataset", config.data.id, rows),
    )
    for kind, name, one in seen:
        if not _local(name):
            stops = [line.what for line in one.checks if line.level == "stop"]
            unread = one.late or (stops and one.repository is None)
            closed = "gated" if ACCESS[kind] in stops else "unread" if unread else "read"
            found.append(Source(kind, name, one.repository, closed))
    return found


def _local(name: str) -> bool:
    return resolve_local(name) is not None


def _late(what: str) -> Check:
    said = f"the Hub did not answer all that was asked within {SECONDS:.0f} seconds"
    return Check("warning", what, said, "look again in a moment, or start: the run waits for it longer")


def _disk_first(lines: Sequence[Check]) -> list[Check]:
    """The lines, that of the disk at their head: nothing else matters where nothing can be written."""
    return sorted(lines, key=lambda one: one.what != "disk")


def _error(one: Check) -> FtspaceError:
    kinds: dict[str, type[FtspaceError]] = {
        "push": HubError,
        "token": HubError,
        "Hub job": HubError,
        "judges": EvalError,
    }
    kinds |= dict.fromkeys(_OF_THE_ROWS, DatasetError)
    return kinds.get(one.what, ModelError)(str(one))
