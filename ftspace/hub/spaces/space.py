"""A Space as it is on the Hub: what lies in it, what it runs on, and how its building goes. Changes nothing there."""

import json
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evals.errors import one_line
from ftspace.errors import HubError
from ftspace.hub.spaces.files import MARK
from ftspace.keeping import run_of
from ftspace.redact import redact

if TYPE_CHECKING:
    from huggingface_hub import HfApi, SpaceRuntime

EMPTY = {".gitattributes", "README.md"}
"""What the Hub itself puts into a new Space."""
RUNNING = "RUNNING"
SLEEPS = ("PAUSED", "STOPPED", "SLEEPING")
"""Stages in which nothing is built or run until somebody wakes it."""
LOG_LINES = 20
POLL_SECONDS = 5.0
GRACE_SECONDS = 30.0
"""How long the Hub may take to notice a commit."""


@dataclass(frozen=True)
class There:
    """What the Hub has under a Space's name."""

    commit: str
    private: bool
    files: Mapping[str, str]
    """Git's name of each file's content, or its SHA-256 where it is a large one."""
    kind: str | None = None
    """What `deploy` put there; None when nothing is there yet."""
    own: frozenset[str] = frozenset()
    """Files that an earlier deploy made."""
    stage: str = ""
    hardware: str | None = None
    sleep_seconds: int | None = None
    variables: Mapping[str, str] = field(default_factory=dict[str, str])
    secrets: frozenset[str] = frozenset()
    volumes: tuple[Any, ...] = ()
    """As the Hub's client gives them."""

    @property
    def empty(self) -> bool:
        """Whether it holds only what the Hub puts into a new one: it was made, and nothing was sent yet."""
        return set(self.files) <= EMPTY


def look(api: "HfApi", repo_id: str) -> There | None:
    """The Space of that name, None when there is none. Raises HubError where it is somebody else's work."""
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError
    from huggingface_hub.hf_api import RepoFile

    with explained(repo_id):
        try:
            info = api.space_info(repo_id)
        except GatedRepoError:
            raise
        except RepositoryNotFoundError:
            return None
        tree = api.list_repo_tree(repo_id, recursive=True, repo_type="space", revision=info.sha)
        files = {one.path: one.lfs.sha256 if one.lfs else one.blob_id for one in tree if isinstance(one, RepoFile)}
    there = There(info.sha or "", bool(info.private), files)
    if MARK not in files and not there.empty:
        example = sorted(set(files) - EMPTY)[0]
        raise HubError(
            f"the name {repo_id} is taken: the Space there holds {example}, and was not made by ftspace deploy; it is "
            "not touched: choose another name"
        )
    with explained(repo_id):
        mark = _mark(api, repo_id, there) if MARK in files else {}
        runtime = api.get_space_runtime(repo_id)
        return replace(
            there,
            kind=mark.get("kind"),
            own=frozenset(map(str, mark.get("files", ()))),
            stage=_stage(runtime),
            hardware=runtime.requested_hardware or runtime.hardware,
            sleep_seconds=runtime.sleep_time,
            variables={name: one.value for name, one in api.get_space_variables(repo_id).items()},
            secrets=frozenset(api.get_space_secrets(repo_id)),
            volumes=tuple(runtime.volumes or ()),
        )


def check_bucket(api: "HfApi", name: str) -> None:
    """Raises HubError where a bucket is there already that others may read, or that holds anything but our archives."""
    from huggingface_hub.errors import BucketNotFoundError

    with explained(name):
        try:
            public = not api.bucket_info(name).private
            strange = next((one.path for one in api.list_bucket_tree(name) if run_of(one.path) is None), None)
        except BucketNotFoundError:
            return
    if public:
        raise HubError(
            f"everybody can read the bucket {name}, and runs would be archived in it; make it private, or choose "
            "another name for the Space"
        )
    if strange:
        raise HubError(
            f"the bucket {name} holds {strange}, which is no archive of a run; choose another name for the Space"
        )


def watch(
    api: "HfApi",
    repo_id: str,
    commit: str,
    seconds: float,
    tell: Callable[[str], object] = lambda _: None,
) -> None:
    """Waits until a commit of a Space runs; `tell` hears of each stage. Raises HubError when it fails, or takes longer.

    The Hub goes on whether somebody waits or not.
    """
    begun, last = time.monotonic(), ""
    sure = False  # at first the Hub may still tell of the commit before
    while True:
        with explained(repo_id):
            runtime = api.get_space_runtime(repo_id)
        stage, built = _stage(runtime), runtime.raw.get("sha")
        sure = sure or last not in ("", stage) or time.monotonic() >= begun + GRACE_SECONDS
        if stage != last:
            tell(stage.lower().replace("_", " "))
            last = stage
        if stage == RUNNING and (built == commit or (built is None and sure)):
            return
        if built == commit or sure:
            if stage in SLEEPS:
                raise HubError(f"the Space {repo_id} is {stage.lower()}; restart it on its page: {_page(api, repo_id)}")
            if stage.endswith("_ERROR") or stage in ("NO_APP_FILE", "DELETING"):
                raise HubError(_failed(api, repo_id, stage, runtime))
        if time.monotonic() >= begun + seconds:
            raise HubError(
                f"after {seconds / 60:.0f} minutes the Space {repo_id} is still {last.lower().replace('_', ' ')}; the "
                f"Hub goes on: watch it on {_page(api, repo_id)}, or give the same command again to wait on"
            )
        time.sleep(min(POLL_SECONDS, max(0.01, begun + seconds - time.monotonic())))


def log_lines(api: "HfApi", repo_id: str, *, build: bool) -> list[str]:
    """The last lines of a Space's building, or of its running, secrets taken out; none where they cannot be had."""
    from httpx2 import HTTPError
    from huggingface_hub.errors import HfHubHTTPError

    try:
        text = "".join(f"{line.rstrip()}\n" for line in api.fetch_space_logs(repo_id, build=build))
    except (HfHubHTTPError, HTTPError, OSError, KeyError, ValueError):
        return []
    return redact(text).splitlines()[-LOG_LINES:]


@contextmanager
def explained(repo_id: str) -> Generator[None]:
    """Turns what the Hub's client raises into a HubError that says what to do."""
    from httpx2 import HTTPError
    from huggingface_hub.errors import (
        HfHubHTTPError,
        HFValidationError,
        LocalTokenNotFoundError,
        OfflineModeIsEnabled,
    )

    try:
        yield
    except LocalTokenNotFoundError as error:
        raise HubError("there is no token to deploy with; set HF_TOKEN, or run: hf auth login") from error
    except OfflineModeIsEnabled as error:
        raise HubError("the Hub is not asked while offline; leave HF_HUB_OFFLINE out to deploy") from error
    except HFValidationError as error:
        raise HubError(f"{repo_id} is no name that the Hub takes; use letters, digits, - _ and .") from error
    except HfHubHTTPError as error:
        raise HubError(_advice(error, repo_id)) from error
    except (HTTPError, OSError) as error:
        raise HubError(f"the Hub cannot be reached, or broke off ({one_line(error)}); check the network") from error


def _advice(error: Any, repo_id: str) -> str:
    status = error.response.status_code
    said = {
        401: "the Hub refuses the token; make a new one with the role write, and set HF_TOKEN or run: hf auth login",
        402: f"the Hub wants {repo_id} paid for: add a payment method or a subscription at its settings, under billing",
        403: f"the token may not change {repo_id}; it needs the role write, and a right to that name",
        404: f"there is no Space {repo_id} any more, or the token may not see it",
        409: f"{repo_id} is being changed by somebody else",
        412: f"{repo_id} was changed while it was deployed",
        413: f"{repo_id}: the Hub finds the files too large",
        429: "the Hub has had too many requests from you; wait some minutes",
    }.get(status)
    if said is None and status >= 500:
        said = f"the Hub is in trouble (status {status}); try later"
    return said or f"the Hub refuses {repo_id} (status {status}): {one_line(error)}"


def _mark(api: "HfApi", repo_id: str, there: There) -> Mapping[str, Any]:
    path = api.hf_hub_download(repo_id, MARK, repo_type="space", revision=there.commit)
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
        return found if isinstance(found, dict) and isinstance(found["files"], list) else {}
    except (ValueError, KeyError):
        return {}


def _failed(api: "HfApi", repo_id: str, stage: str, runtime: "SpaceRuntime") -> str:
    building = stage == "BUILD_ERROR"
    what = {
        "BUILD_ERROR": "its packages could not be installed",
        "RUNTIME_ERROR": "the app ended",
        "CONFIG_ERROR": "the Hub cannot read its README's front matter",
    }.get(stage, "nothing of it runs")
    said = redact(" ".join(str(runtime.raw.get("errorMessage") or "").split()))
    lines = log_lines(api, repo_id, build=building)
    log = "\n".join(["", "the log's last lines:", *lines]) if lines else ""
    more = f"{_page(api, repo_id)}?logs={'build' if building else 'container'}"
    return (
        f"the Space {repo_id} does not run ({stage.lower().replace('_', ' ')}): {what}{f' ({said})' if said else ''}; "
        f"read {more}, mend it, and deploy again{log}"
    )


def _page(api: "HfApi", repo_id: str) -> str:
    return f"{api.endpoint}/spaces/{repo_id}"


def _stage(runtime: "SpaceRuntime") -> str:
    return str(getattr(runtime.stage, "value", runtime.stage))
