"""Makes a Space of this app, or of a chat demo, or brings one up to date: first a plan, then its steps in order.

What is shown before is what is done: a plan's steps are its words and its deeds in one. Each can be made again, so
that after a failure the same command goes on where it ended. Only Spaces that were made here are touched.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from ftspace.errors import ConfigError, HubError
from ftspace.events import read_events
from ftspace.hub.finding.find import look_up
from ftspace.hub.spaces.files import check_front, why_no_texts
from ftspace.hub.spaces.hardware import FREE, Hardware
from ftspace.hub.spaces.space import SLEEPS, There, explained
from ftspace.hub.spaces.wanted import MOUNT, Wanted
from ftspace.hub.token import ask_token
from ftspace.runs import Run
from ftspace.state import fold

if TYPE_CHECKING:
    from huggingface_hub import HfApi, Volume

PAID, TAKEN = 402, 409
TOKEN = "HF_TOKEN"
"""The secret with which a demo reads what not everybody may."""
_NO_WRITING = "see the token's permissions at https://huggingface.co/settings/tokens"


_BYTES = {"float32": 4.0, "none": 2.0, "int8": 1.0, "nf4": 0.6}
"""Of a parameter, as a demo holds it."""
_ROOM = 0.9
"""Of a memory, what is left for weights."""


@dataclass(frozen=True)
class Step:
    """One request, or several that belong together."""

    said: str
    do: Callable[["HfApi"], object] = field(repr=False)


@dataclass(frozen=True)
class Plan:
    """What will be done, in order; nothing when all is as it should be."""

    wanted: Wanted
    there: There | None
    files: Mapping[str, bytes] = field(repr=False)
    front: Mapping[str, Any]
    changed: tuple[str, ...]
    """Files that are sent."""
    removed: tuple[str, ...]
    """Files of an earlier deploy that are no more."""
    hardware: Hardware
    """What it will run on."""
    steps: tuple[Step, ...]
    doubts: tuple[str, ...]
    closed: tuple[str, ...] = ()
    """Models that it reads, and that not everybody may."""

    @property
    def opens(self) -> tuple[str, ...]:
        """Models that not everybody may read, and that everybody could ask here."""
        return () if self.wanted.private else self.closed

    @property
    def new_bytes(self) -> int:
        """Bytes of what is sent."""
        return sum(len(self.files[name]) for name in self.changed)

    @property
    def costs(self) -> bool:
        """Whether it begins to cost money, or to cost another sum."""
        return self.hardware.paid and (self.there is None or self.there.hardware != self.hardware.name)


def check_token(repo_id: str, there: There | None) -> str:
    """Whose token it is. Raises HubError when it may not do what a deploy does."""
    asked = ask_token()
    if asked.record is None:
        words = {"none": "; set HF_TOKEN, or run: hf auth login", "refused": "; make a new one with the role write"}
        raise HubError(f"{asked.detail}{words.get(asked.trouble, '; try again')}")
    namespace = repo_id.partition("/")[0]
    why = asked.record.why_not_own(namespace) or asked.record.why_not_write(
        repo_id, there=there is not None, kind="space"
    )
    if why:
        raise HubError(f"{repo_id} cannot be deployed with this token ({asked.record.words}): {why}; {_NO_WRITING}")
    return asked.record.name


def closed(*models: str) -> list[str]:
    """Those of some models that not everybody may read. Raises ModelError for one that is not on the Hub."""
    found = {one: look_up("model", one) for one in models}
    return [one for one, repository in found.items() if repository and repository.restricted]


def plan(
    wanted: Wanted,
    files: Mapping[str, bytes],
    there: There | None,
    known: Sequence[Hardware],
    needs_token: Sequence[str] = (),
    run: Run | None = None,
) -> Plan:
    """What has to be done to bring a Space from what is there to what is wanted. Raises HubError or ConfigError.

    `needs_token` are models that it reads and that not everybody may: who sees such a Space has them answer, so it is
    private where nothing else is said. `run` is that of a demo.
    """
    front = check_front(files, wanted.kind)
    if needs_token and TOKEN not in {*wanted.secrets, *(there.secrets if there else ())}:
        raise ConfigError(
            f"not everybody may read {' and '.join(needs_token)}: give the Space a token that may, with "
            f"--secret {TOKEN}"
        )
    if needs_token and wanted.private is None:
        wanted = replace(wanted, private=True)
    if there is not None and there.kind not in (None, wanted.kind):
        raise HubError(f"the Space {wanted.repo_id} is a {there.kind}, not a {wanted.kind}; choose another name")
    held = there.files if there else {}
    changed = tuple(sorted(name for name, content in files.items() if held.get(name) not in _digests(content)))
    removed = tuple(sorted((there.own - set(files)) & set(held))) if there else ()
    has = (there.hardware if there else None) or FREE
    if wanted.sleep_minutes is not None and (wanted.hardware.name if wanted.hardware else has) == FREE:
        raise ConfigError(f"--sleep: {FREE} sleeps after two days without a visitor, which cannot be changed")
    now = next((one for one in known if one.name == has), Hardware(has, "not in the list", None))
    made = Plan(wanted, there, files, front, changed, removed, wanted.hardware or now, (), (), tuple(needs_token))
    steps = [*_settings(made), *_commit(made), *_machine(made, has)]
    return replace(made, steps=tuple(steps), doubts=(*_doubts(made), *(_of_demo(run, made.hardware) if run else ())))


def carry_out(api: "HfApi", made: Plan, tell: Callable[[str], object] = lambda _: None) -> str:
    """Does what was planned; the commit that the Space has then. Raises HubError, which says what is done and what not.

    `tell` hears of each step before it is made.
    """
    repo_id = made.wanted.repo_id
    for place, step in enumerate(made.steps):
        tell(step.said)
        try:
            with explained(repo_id):
                step.do(api)
        except HubError as error:
            done = "; ".join(one.said for one in made.steps[:place]) or "nothing"
            left = "; ".join(one.said for one in made.steps[place:])
            raise HubError(f"{error}. Done: {done}. Not done: {left}. The same command goes on from here") from error
    with explained(repo_id):
        return api.space_info(repo_id).sha or ""


def _settings(made: Plan) -> Iterator[Step]:
    """All that surrounds the files, so that they find it when they are built."""
    wanted, there = made.wanted, made.there
    if wanted.storage and (there is None or not _mounted(wanted, there)):
        words = f"make the private bucket {wanted.bucket}, if it is not there"
        yield Step(words, lambda api: api.create_bucket(wanted.bucket, private=True, exist_ok=True))
    if there is None:
        yield Step(_creation(wanted), partial(_create, wanted))
        return
    name = wanted.repo_id
    for key, value in wanted.variables.items():
        if there.variables.get(key) != value:
            yield Step(f"set the variable {key}", partial(_set_variable, name, key, value))
    for key, value in wanted.secrets.items():
        yield Step(f"set the secret {key}", partial(_set_secret, name, key, value))
    if wanted.storage and not _mounted(wanted, there):
        others = [one for one in there.volumes if one.mount_path != MOUNT]
        words = f"mount {wanted.bucket} at {MOUNT}"
        yield Step(words, lambda api: api.set_space_volumes(name, [*others, _volume(wanted)]))
    if wanted.private is not None and wanted.private != there.private:
        seen = "hide it from everybody but you" if wanted.private else "let everybody see it"
        yield Step(seen, lambda api: api.update_repo_settings(name, private=wanted.private, repo_type="space"))


def _creation(wanted: Wanted) -> str:
    parts = [f"make the {'private' if wanted.private else 'public'} Space {wanted.repo_id}"]
    parts += [f"the variable {one}" for one in wanted.variables]
    parts += [f"the secret {one}" for one in wanted.secrets]
    parts += [f"{wanted.bucket} mounted at {MOUNT}"] if wanted.storage else []
    return parts[0] + (f" with {', '.join(parts[1:])}" if parts[1:] else "")


def _create(wanted: Wanted, api: "HfApi") -> None:
    """One request for all: there is no moment in which it has a name and lacks its secrets."""
    from huggingface_hub.errors import HfHubHTTPError

    options: dict[str, Any] = {
        "repo_type": "space",
        "space_sdk": "gradio",
        "private": bool(wanted.private),
        "space_secrets": [{"key": key, "value": value} for key, value in wanted.secrets.items()] or None,
        "space_variables": [{"key": key, "value": value} for key, value in wanted.variables.items()] or None,
        "space_volumes": [_volume(wanted)] if wanted.storage else None,
    }
    try:
        api.create_repo(wanted.repo_id, **options)
    except HfHubHTTPError as error:
        if error.response.status_code == TAKEN:
            raise HubError(
                f"the name {wanted.repo_id} is taken by a Space that this token may not see, or that was made just "
                "now; choose another name, or look again"
            ) from error
        if error.response.status_code != PAID or wanted.hardware is None or not wanted.hardware.paid:
            raise
        # Without a subscription a Space is made on paid hardware or not at all; while it is empty nothing runs there.
        options["space_hardware"] = wanted.hardware.name
        api.create_repo(wanted.repo_id, **options)


def _set_variable(name: str, key: str, value: str, api: "HfApi") -> None:
    api.add_space_variable(name, key, value)


def _set_secret(name: str, key: str, value: str, api: "HfApi") -> None:
    api.add_space_secret(name, key, value)


def _commit(made: Plan) -> Iterator[Step]:
    if not made.changed and not made.removed:
        return
    words = f"send {len(made.changed)} files ({made.new_bytes / 1e6:.1f} MB)"
    words += f" and remove {len(made.removed)}" if made.removed else ""

    def send(api: "HfApi") -> None:
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        api.create_commit(
            made.wanted.repo_id,
            [
                *(CommitOperationAdd(name, made.files[name]) for name in made.changed),
                *(CommitOperationDelete(name) for name in made.removed),
            ],
            commit_message="Deploy with ftspace",
            repo_type="space",
            parent_commit=made.there.commit if made.there else None,
        )

    yield Step(f"{words} in one commit", send)


def _machine(made: Plan, has: str) -> Iterator[Step]:
    """Last, for it is what costs."""
    wanted, name = made.wanted, made.wanted.repo_id
    sleep = None if wanted.sleep_minutes is None else 60 * wanted.sleep_minutes
    if made.hardware.name != has:
        words = f"run it on {made.hardware.name}"
        words += f", asleep after {wanted.sleep_minutes} minutes without a visitor" if sleep else ""
        flavour: Any = made.hardware.name
        yield Step(words, lambda api: api.request_space_hardware(name, flavour, sleep_time=sleep))
    elif sleep is not None and (made.there is None or made.there.sleep_seconds != sleep):
        words = f"let it sleep after {wanted.sleep_minutes} minutes without a visitor"
        yield Step(words, lambda api: api.set_space_sleep_time(name, sleep))


def _doubts(made: Plan) -> Iterator[str]:
    """What a person should know before saying yes."""
    wanted, there = made.wanted, made.there
    if there is not None and there.stage in SLEEPS:
        yield f"the Space is {there.stage.lower()}, and stays so: restart it on its page"
    if made.opens:
        yield f"not everybody may read {' and '.join(made.opens)}, and everybody could ask it there; or give --private"
    paid = made.hardware.paid
    sleeps = wanted.sleep_minutes is not None or (there is not None and (there.sleep_seconds or -1) > 0)
    if paid and not sleeps:
        yield "it never sleeps and is paid for at every hour until you pause it on its page; or give --sleep MINUTES"
    if paid and wanted.kind == "app" and sleeps:
        yield "the time to sleep counts from the last request: a long run that nobody watches is cut off by it"
    if wanted.kind == "app" and not made.hardware.gpu:
        yield f"{made.hardware.name} has no graphics card: it trains only tiny models"
    if wanted.kind == "app" and not wanted.storage and not (there and there.volumes):
        yield "its runs are lost whenever it restarts or sleeps; --storage keeps them, or push what is worth it"
    if wanted.storage:
        yield (
            f"{wanted.bucket} is paid for by what lies in it, beyond what your account has free; runs are archived "
            "there within a minute of their end and, while they are at work, of each checkpoint"
        )
    if there and wanted.secrets:
        yield "secrets cannot be read back, so those named are set again, and the Space restarts"


def _of_demo(run: Run, hardware: Hardware) -> Iterator[str]:
    """What speaks against a demo of this run on this hardware."""
    if not hardware.gpu:
        yield f"{hardware.name} has no graphics card: a demo answers slowly there"
    prepared, memory = fold(read_events(run.events)[0]).prepared, hardware.memory
    if prepared is None or memory is None:
        yield f"whether {hardware.name} has room for {run.config.model.id} is not known"
    else:
        held = "float32" if not hardware.gpu else run.config.model.quantization
        takes = _BYTES[held] * prepared.parameters
        if takes > _ROOM * memory:
            yield (
                f"{run.config.model.id} takes {takes / 1e9:.0f} GB there, and {hardware.name} has "
                f"{memory / 1e9:.0f} GB: the demo will not start; choose more with --hardware"
            )
    if run.config.data.system and (why := why_no_texts(run)):
        yield f"the run's system prompt is not sent, for {why}: the demo asks without it"


def _mounted(wanted: Wanted, there: There) -> bool:
    return any(
        one.type == "bucket" and one.source == wanted.bucket and one.mount_path == MOUNT for one in there.volumes
    )


def _volume(wanted: Wanted) -> "Volume":
    from huggingface_hub import Volume

    return Volume(type="bucket", source=wanted.bucket, mount_path=MOUNT)


def _digests(content: bytes) -> set[str]:
    """What the Hub may call a content: git's name for it, or its SHA-256 where it is a large one."""
    git = hashlib.sha1(b"blob %d\0" % len(content), usedforsecurity=False)
    git.update(content)
    return {git.hexdigest(), hashlib.sha256(content).hexdigest()}
