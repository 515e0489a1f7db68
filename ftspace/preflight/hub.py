"""The lines of what a run asks of the Hub: the token, the licenses, the repository it is pushed to. Pure; asks nobody.

A token is needed only where something is gated, private or pushed; else it is not asked for. Judges of the Hub have
tokens of their own, and a run does without those that do not answer: what they lack is a warning.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ftspace.checks import Check
from ftspace.config import RunConfig
from ftspace.errors import HubError
from ftspace.hub.finding.find import Kind, Repository
from ftspace.hub.jobs.record import REPOSITORY
from ftspace.hub.push.target import Target
from ftspace.hub.token import Asked, TokenRecord


@dataclass(frozen=True)
class Source:
    """A base or a dataset that is asked of the Hub."""

    kind: Kind
    name: str
    repository: Repository | None
    """What the Hub has of it; None where it could not be read, and offline."""
    state: Literal["read", "gated", "unread"]
    """Read; known to be gated and closed to the asker; or not there, private, or out of reach."""

    @property
    def restricted(self) -> str:
        """private, gated, or nothing where everybody may read it."""
        return "gated" if self.state == "gated" else (self.repository and self.repository.restricted) or ""


def needs(config: RunConfig, sources: Sequence[Source]) -> list[str]:
    """What a token is needed for, in words; nothing where none is."""
    found: list[str] = []
    for one in sources:
        if one.restricted:
            found.append(f"to read the {one.restricted} {one.kind} {one.name}")
        elif one.state == "unread":
            found.append(f"to read the {one.kind} {one.name}, if it is private or gated")
    if config.hub.push:
        found.append(f"to push to {config.hub.push}")
    if config.launch.launcher == "hf-jobs":
        found.append("to run a job of the Hub")
    return found


def token_line(config: RunConfig, sources: Sequence[Source], asked: Asked | None, target: Target | None) -> Check:
    """Whether the token is there, valid, and enough for what will be done."""
    wanted = needs(config, sources)
    if not wanted or asked is None:
        return Check("ok", "token", "not needed: nothing here is gated, private or pushed")
    why = " and ".join(wanted)
    where = f"{_endpoint()}/settings/tokens"
    role = "write" if config.hub.push or config.launch.launcher == "hf-jobs" else "read"
    again = f"make one with the role {role} at {where}, then set HF_TOKEN or run hf auth login (in the app: sign in)"
    if asked.trouble == "offline":
        return Check("ok", "token", "not asked: the Hub is offline by choice")
    if asked.trouble == "none":
        return Check("stop", "token", f"no Hub token was found, and one is needed {why}", again)
    if asked.trouble == "refused":
        return Check("stop", "token", f"{asked.detail}; one is needed {why}", again)
    if asked.record is None:
        return Check("warning", "token", f"{asked.detail}; one is needed {why}", "look again when the Hub answers")
    if lacks := _lacks(config, asked.record, sources, target):
        mend = "sign in again and allow it" if asked.record.role == "oauth" else again
        return Check("stop", "token", f"{asked.record.words}: {' and '.join(lacks)}; it is needed {why}", mend)
    sure = all(one.state == "read" for one in sources) and not (config.hub.push and target is None)
    enough = f"; it is enough {why}" if sure else ""
    return Check("ok", "token", f"{asked.record.words}{enough}")


def _lacks(config: RunConfig, record: TokenRecord, sources: Sequence[Source], target: Target | None) -> list[str]:
    found = [record.why_not_gated(one.name, one.kind) for one in sources if one.state == "gated"]
    if config.hub.push:
        found.append(record.why_not_write(config.hub.push, there=target is None or target.there))
    if config.launch.launcher == "hf-jobs":
        found.append(record.why_not_jobs())
        found.append(record.why_not_write(f"{record.name}/{REPOSITORY}", there=False, kind="dataset"))
    return [one for one in found if one]


def judge_lines(asked: Mapping[str, Asked]) -> list[Check]:
    """The warnings of judges of the Hub, each with what came of asking for its token."""
    found: list[Check] = []
    fix = "set HF_TOKEN, or JUDGE_1_TOKEN and so on by its place; else the run ends without this judge"
    for name, one in asked.items():
        why = one.record.why_not_ask_models() if one.record else one.detail if one.trouble != "offline" else ""
        if why:
            found.append(Check("warning", "judge's token", f"{name} may not answer: {why}", fix))
    return found


def push_line(
    config: RunConfig, sources: Sequence[Source], asked: Asked | None, target: Target | HubError | None
) -> list[Check]:
    """Whether the repository of `hub.push` is free or ours, and may be made; nothing where nothing is pushed."""
    repo_id = config.hub.push
    if not repo_id:
        return []
    if config.hub.public:
        for one in sources:
            if one.restricted:
                said = f"{one.name} is a {one.restricted} {one.kind}, and hub.public lets everybody read what is made"
                return [Check("stop", "push", said, "leave hub.public out, or ask who owns it and push by hand")]
    if asked and asked.record and (why := asked.record.why_not_own(repo_id.partition("/")[0])):
        mine = f"{asked.record.name}/{repo_id.partition('/')[2]}"
        fix = f"push to {mine}, or ask an admin of the organization for the right to write"
        return [Check("stop", "push", why, fix)]
    if isinstance(target, HubError):
        line = Check.stop("push", target)
        return [Check("warning", "push", line.detail, line.fix)]
    if target is None:
        return []
    if not target.there:
        who = "everybody can" if config.hub.public else "only its owner can"
        return [
            Check(
                "ok",
                "push",
                f"the name {repo_id} is free, as far as this token sees; it is made when the run is finished, and "
                f"{who} read it",
            )
        ]
    if target.taken:
        said = f"the name {repo_id} is taken: {target.taken}"
        return [Check("stop", "push", said, "choose another name for hub.push")]
    if target.public and not config.hub.public:
        said = f"{repo_id} is there already, and everybody can read it"
        return [Check("stop", "push", said, "set hub.public if that is meant, or choose another name for hub.push")]
    after = "; it stays private, whatever hub.public says" if config.hub.public and not target.public else ""
    return [Check("ok", "push", f"{repo_id} holds an earlier push, or nothing yet, and is written anew{after}")]


def _endpoint() -> str:
    from huggingface_hub import constants

    return constants.ENDPOINT
