"""The command `deploy`: this app, or a chat demo of a run, as a Space. Parses, asks, prints; decides nothing itself."""

import argparse
import json
import re
import sys
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from ftspace.console import stderr, stdout
from ftspace.errors import ConfigError
from ftspace.hub import deploy as deploying
from ftspace.hub.hardware import HOURS_A_MONTH, hardware_named, offered
from ftspace.hub.space import check_bucket, look, watch
from ftspace.hub.space_files import app_files, demo_files, left_out, pushed
from ftspace.hub.wanted import MOUNT, Wanted, check_variables
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
    known = offered(api)
    if parsed.hardware:
        wanted = wanted.on(hardware_named(parsed.hardware, known))
    run = RunStore(settings.runs_dir).get(parsed.demo) if parsed.demo else None
    files = demo_files(run) if run else app_files(wanted.hardware)
    there = look(api, parsed.space)
    deploying.check_token(parsed.space, there)
    needs_token = deploying.closed(run.config.model.id, pushed(run).repo_id) if run else []
    if wanted.storage:
        check_bucket(api, wanted.bucket)
    made = deploying.plan(wanted, files, there, known, needs_token, run)
    if wanted.kind == "app" and (others := left_out()):
        said = f"warning: git does not track {', '.join(others)}; not sent"
        stderr.print(said, style="yellow", markup=False, highlight=False, soft_wrap=True)
    if not parsed.json:
        stdout.print(to_rich(made))
    if parsed.dry_run:
        return _done(parsed, made, there.commit if there else None, api)
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


def _wanted(parsed: argparse.Namespace) -> Wanted:
    if parsed.space.count("/") != 1 or not all(parsed.space.split("/")):
        raise ConfigError(f"{parsed.space} is no name of a Space; give it as user/space")
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
        stdout.file.write(json.dumps(_document(parsed, made, commit, url), indent=2) + "\n")
    elif not parsed.dry_run:
        said = "runs" if parsed.wait is not None else "is being built; watch it there, or with --wait"
        stdout.print(f"{url} {said}", markup=False, highlight=False, soft_wrap=True)
    return 0


def _document(parsed: argparse.Namespace, made: deploying.Plan, commit: str | None, url: str) -> dict[str, Any]:
    hour = made.hardware.dollars_an_hour
    return {
        "space": parsed.space,
        "url": url,
        "kind": made.wanted.kind,
        "new": made.there is None,
        "dry_run": parsed.dry_run,
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
