"""The command `deploy`: this app, or a chat demo of a run, as a Space. Parses, asks, prints; decides nothing itself."""

import argparse
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from ftspace.console import stderr, stdout
from ftspace.errands import Deploy
from ftspace.errors import ConfigError, HubError
from ftspace.hub.spaces import deploy as deploying
from ftspace.hub.spaces.files import app_files, demo_files, left_out, pushed
from ftspace.hub.spaces.hardware import HOURS_A_MONTH, hardware_named, offered
from ftspace.hub.spaces.space import check_bucket, look, watch
from ftspace.hub.spaces.wanted import MOUNT, Wanted, check_variables
from ftspace.hub.token import ask_token
from ftspace.redact import keep_secret
from ftspace.runs import RunStore
from ftspace.settings import Settings, secret_named

if TYPE_CHECKING:
    from huggingface_hub import HfApi

WAIT_MINUTES = 20
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def add_deploy(parsers: Any, where: argparse.ArgumentParser) -> None:
    """Adds the parser of `deploy`."""
    parser = parsers.add_parser(
        "deploy",
        help="put this app, or a chat demo of a pushed run, on a Hugging Face Space",
        usage="%(prog)s USER/SPACE [--demo RUN] [--hardware NAME] [--private] [--secret NAME ...] [--storage] "
        "[--dry-run] [--yes] [--wait] [--json]",
        description="Makes a Space with this app, or brings the one that it made before up to date, in one commit. "
        "With --demo it is a small chat instead, which asks a base and the adapter of a run that was pushed the same "
        "question, side by side. What it costs is said before, and asked about; --dry-run says all that would be done "
        "and does nothing. A Space that was not made by this command is never touched.",
        allow_abbrev=False,
        parents=[where],
    )
    parser.add_argument("space", metavar="USER/SPACE", help="the Space; it is made if it is not there")
    parser.add_argument("--demo", metavar="RUN", help="a run whose adapter was pushed: a chat demo of it, not the app")
    parser.add_argument("--hardware", metavar="NAME", help="such as t4-small (default: what it has; a new one is free)")
    seen = parser.add_mutually_exclusive_group()
    seen.add_argument("--private", dest="private", action="store_true", default=None, help="only you can see it")
    seen.add_argument(
        "--public",
        dest="private",
        action="store_false",
        default=None,
        help="everybody can see it; so is a new one, but for a demo of a private or gated model",
    )
    parser.add_argument(
        "--secret",
        action="append",
        default=[],
        metavar="NAME",
        help="give the Space this variable of your environment, hidden; may be repeated",
    )
    parser.add_argument(
        "--variable",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a variable of the Space that everybody can read, such as FTSPACE_USERS='*'; may be repeated",
    )
    parser.add_argument(
        "--sleep", type=int, metavar="MINUTES", help="sleep, unpaid, after so long without a visitor (default: never)"
    )
    parser.add_argument("--storage", action="store_true", help="keep runs in a storage bucket of the Space's own")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    parser.add_argument(
        "--yes", action="store_true", help="ask nothing before what costs money, or shows what is private"
    )
    parser.add_argument(
        "--wait",
        type=int,
        nargs="?",
        const=WAIT_MINUTES,
        metavar="MINUTES",
        help=f"wait until it runs, at most so long ({WAIT_MINUTES} if not said); fails where it does not come to run",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document on stdout")


def deploy(parsed: argparse.Namespace, settings: Settings) -> int:
    """`ftspace deploy`: status 0 when the Space has what it shall have; with --wait, when it runs."""
    wanted = _wanted(parsed)
    from huggingface_hub import HfApi

    api = HfApi()
    made = planned(api, wanted, RunStore(settings.runs_dir), parsed.demo, parsed.hardware)
    if wanted.kind == "app" and (others := left_out()):
        said = f"warning: git does not track {', '.join(others)}; not sent"
        stderr.print(said, style="yellow", markup=False, highlight=False, soft_wrap=True)
    if not parsed.json:
        stdout.print(to_rich(made))
    if parsed.dry_run:
        return _done(parsed, made, made.there.commit if made.there else None, api)
    if made.opens and not parsed.yes:
        raise ConfigError(
            f"not everybody may read {' and '.join(made.opens)}, and --public would let everybody ask it; say --yes if "
            "you want it, or leave --public out"
        )
    if made.costs and not parsed.yes:
        _ask(made)
    commit = deploying.carry_out(api, made, lambda said: stderr.print(f"{said} …", markup=False, soft_wrap=True))
    if parsed.wait is not None:
        watch(api, parsed.space, commit, 60 * parsed.wait, lambda stage: stderr.print(f"  {stage}", highlight=False))
    return _done(parsed, made, commit, api)


def planned(api: "HfApi", wanted: Wanted, store: RunStore, demo: str | None, hardware: str | None) -> deploying.Plan:
    """What has to be done for a Space, once the Hub was asked what is there; changes nothing. Raises FtspaceError."""
    known = offered(api)
    if hardware:
        wanted = wanted.on(hardware_named(hardware, known, demo=demo is not None))
    run = store.get(demo) if demo else None
    files = demo_files(run) if run else app_files(wanted.hardware)
    there = look(api, wanted.repo_id)
    deploying.check_token(wanted.repo_id, there)
    needs_token = deploying.closed(run.config.model.id, pushed(run).repo_id) if run else []
    if wanted.storage:
        check_bucket(api, wanted.bucket)
    return deploying.plan(wanted, files, there, known, needs_token, run)


def deploy_asked(asked: Deploy, tell: Callable[[str, int, int], object]) -> dict[str, Any]:
    """What the app's errand does: looks, and unless it is only to look, does just what somebody said yes to.

    Raises HubError where there is something else to do by then.
    """
    from huggingface_hub import HfApi

    wanted = Wanted(
        repo_id=_with_owner(asked.repo_id),
        kind="demo" if asked.demo else "app",
        private=asked.private,
        variables={"FTSPACE_KEEP": MOUNT} if asked.storage else {},
        sleep_minutes=asked.sleep_minutes,
        storage=asked.storage,
    )
    api = HfApi()
    made = planned(api, wanted, RunStore(Path(asked.runs_dir)), asked.demo, asked.hardware)
    url = f"{api.endpoint}/spaces/{wanted.repo_id}"
    commit = made.there.commit if made.there else None
    if not asked.dry_run:
        steps = [one.said for one in made.steps]
        if steps != list(asked.steps or ()):
            raise HubError(f"what there is to do for {wanted.repo_id} has changed meanwhile; look again, then say yes")
        commit = deploying.carry_out(api, made, lambda said: tell(said, steps.index(said), len(steps)))
    price = {"hardware_words": str(made.hardware), "costs": made.costs, "opens": list(made.opens)}
    return {**_document(made, commit, url, dry_run=asked.dry_run), **price}


def _with_owner(name: str) -> str:
    """A Space's name; one without an owner is of whoever's token it is. Raises ConfigError."""
    found = None if "/" in name else ask_token().record
    return _space_name(f"{found.name}/{name}" if found else name)


def _space_name(text: str) -> str:
    if text.count("/") != 1 or not all(text.split("/")):
        raise ConfigError(f"{text} is no name of a Space; give it as user/space")
    return text


def _wanted(parsed: argparse.Namespace) -> Wanted:
    _space_name(parsed.space)
    for flag, count in (("--sleep", parsed.sleep), ("--wait", parsed.wait)):
        if count is not None and count < 1:
            raise ConfigError(f"{flag} {count}: give a whole number of minutes from 1 on")
    secrets = {name: secret_named(name) for name in map(_name, parsed.secret)}
    for value in secrets.values():
        keep_secret(value)
    pairs = [one.partition("=") for one in parsed.variable]
    if odd := [name for name, sign, _ in pairs if not sign]:
        raise ConfigError(f"--variable {odd[0]}: give a name and a value, as in FTSPACE_MAX_MINUTES=240")
    kept = {"FTSPACE_KEEP": MOUNT} if parsed.storage else {}
    variables = {**kept, **{_name(name): value for name, _, value in pairs}}
    check_variables(variables, secrets)
    return Wanted(
        repo_id=parsed.space,
        kind="demo" if parsed.demo else "app",
        private=parsed.private,
        secrets=secrets,
        variables=variables,
        sleep_minutes=parsed.sleep,
        storage=parsed.storage,
    )


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ConfigError(f"{text!r} is no name of a variable; use letters, digits and _")
    return text


def _ask(made: deploying.Plan) -> None:
    if not sys.stdin.isatty():
        raise ConfigError(f"this costs money: {made.hardware}; say --yes if you want it, or --dry-run to look only")
    stderr.print(f"{made.hardware}. Go on? [y/N] ", end="", markup=False, highlight=False, soft_wrap=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise ConfigError("nothing was done")


def _done(parsed: argparse.Namespace, made: deploying.Plan, commit: str | None, api: "HfApi") -> int:
    url = f"{api.endpoint}/spaces/{parsed.space}"
    if parsed.json:
        stdout.file.write(json.dumps(_document(made, commit, url, dry_run=parsed.dry_run), indent=2) + "\n")
    elif not parsed.dry_run:
        said = "runs" if parsed.wait is not None else "is being built; watch it there, or with --wait"
        stdout.print(f"{url} {said}", markup=False, highlight=False, soft_wrap=True)
    return 0


def _document(made: deploying.Plan, commit: str | None, url: str, *, dry_run: bool) -> dict[str, Any]:
    hour = made.hardware.dollars_an_hour
    return {
        "space": made.wanted.repo_id,
        "url": url,
        "kind": made.wanted.kind,
        "new": made.there is None,
        "dry_run": dry_run,
        "commit": commit,
        "files": len(made.files),
        "bytes": sum(map(len, made.files.values())),
        "changed": list(made.changed),
        "removed": list(made.removed),
        "front_matter": dict(made.front),
        "hardware": made.hardware.name,
        "dollars_an_hour": hour,
        "dollars_a_month": None if hour is None else hour * HOURS_A_MONTH,
        "secrets": sorted(made.wanted.secrets),
        "variables": dict(made.wanted.variables),
        "bucket": made.wanted.bucket if made.wanted.storage else None,
        "steps": [one.said for one in made.steps],
        "doubts": list(made.doubts),
    }


def to_rich(made: deploying.Plan) -> RenderableType:
    """A plan for the terminal."""
    wanted, there = made.wanted, made.there
    state = "new" if there is None else "made, but empty" if there.kind is None else "there already"
    table = Table(show_header=False)
    table.add_column("what", no_wrap=True)
    table.add_column("found")
    front = ", ".join(f"{name}: {_short(value)}" for name, value in made.front.items())
    rows = {
        "Space": f"{wanted.repo_id}, {state}",
        "files": f"{len(made.files)}, {sum(map(len, made.files.values())) / 1e6:.1f} MB; {len(made.changed)} to send "
        f"({made.new_bytes / 1e6:.1f} MB), {len(made.removed)} to remove",
        "README": front,
        "hardware": str(made.hardware),
        "secrets": ", ".join(wanted.secrets),
        "variables": ", ".join(f"{name}={value}" for name, value in wanted.variables.items()),
        "bucket": f"{wanted.bucket} at {MOUNT}" if wanted.storage else "",
    }
    for what, found in rows.items():
        if found:
            table.add_row(what, escape(found))
    steps = [Text(f"{place}. {step.said}") for place, step in enumerate(made.steps, 1)]
    doubts = [Text(f"note: {one}", style="yellow") for one in made.doubts]
    return Group(table, *(steps or [Text("nothing has to be done: the Space has all of it")]), *doubts)


def _short(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
