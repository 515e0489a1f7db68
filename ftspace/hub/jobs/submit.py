"""Gives a run to the Hub as a job, once: what was submitted by a process that was killed is found by its labels."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from ftspace.errors import FtspaceError, HubError
from ftspace.events import Warned
from ftspace.hub.jobs.asking import patiently, refused
from ftspace.hub.jobs.flavors import Flavor, flavor_named, offered
from ftspace.hub.jobs.payload import config_there, payload
from ftspace.hub.jobs.reckoning import priced, reckon, timeout_of
from ftspace.hub.jobs.record import HubJob, write_job
from ftspace.hub.jobs.storage import send
from ftspace.runs import Run
from ftspace.settings import read_settings

if TYPE_CHECKING:
    from huggingface_hub import HfApi, JobInfo

IMAGE = "python:3.12"
"""Where this is no Space, whose own image has all that is needed."""
MODULE = "ftspace.hub.jobs.inside"
_FETCH = (
    "import sys; from huggingface_hub import snapshot_download; snapshot_download(sys.argv[1], repo_type='dataset', "
    "revision=sys.argv[2], allow_patterns=[sys.argv[3] + '/*'], local_dir='.')"
)
_BEGIN = ['cd "$(mktemp -d)"']
_CLIENT = ["pip install --quiet huggingface_hub=={version}"]
_UNPACK = [f'python -c "{_FETCH}" "$1" "$2" "$3"', 'tar -xzf "$3/source.tar.gz"']
_INSTALL = [
    "pip install --quiet \"$(grep '^torch==' requirements.txt)\"",
    "pip install --quiet -r requirements.txt -c requirements.lock",
]
_WORK = [f'exec python -m {MODULE} "$@"']
_ENV = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "PIP_ROOT_USER_ACTION": "ignore",
    "PYTHONUNBUFFERED": "1",
}


def plan(api: "HfApi", run: Run, before: HubJob | None, warn: Callable[[Warned], object]) -> HubJob:
    """A job that is not submitted yet, after the one `before`. Raises FtspaceError where it could not be."""
    from huggingface_hub import get_token

    if run.config.hub.offline:
        raise HubError("hub.offline keeps the Hub from being asked, and a Hub job needs it; leave one out", "offline")
    if not get_token():
        raise HubError("there is no token to run a Hub job with; set HF_TOKEN, or run: hf auth login", "token")
    name = patiently(lambda: api.whoami()["name"], "it cannot be learnt whose the token is")
    flavor = flavor_named(run.config.launch.flavor, offered())
    if before is not None and before.flavor == flavor.name:  # its rows may be gone, and its estimate stands
        return HubJob(attempt=before.attempt + 1, namespace=name, flavor=flavor.name, minutes=before.minutes)
    attempt = 1 if before is None else before.attempt + 1
    return HubJob(attempt=attempt, namespace=name, flavor=flavor.name, minutes=_minutes(run, flavor, warn))


def submit(api: "HfApi", run: Run, job: HubJob) -> HubJob:
    """The job, submitted or found submitted already, and written down. Raises HubError, OSError."""
    write_job(run, job)
    info = _find(api, run, job) or _submit(api, run, job)
    return write_job(run, job.model_copy(update={"id": info.id, "url": info.url}))


def _minutes(run: Run, flavor: Flavor, warn: Callable[[Warned], object]) -> float:
    """The job's timeout, by the estimate where the config does not give it."""
    if run.config.launch.timeout_minutes is not None:
        return run.config.launch.timeout_minutes
    from ftspace.training.facts import find_facts

    try:
        return reckon(run.config, find_facts(run.config), flavor, run.path.parent.parent).timeout
    except FtspaceError as error:
        minutes = timeout_of(run.config, None)
        said = f"what the job takes cannot be estimated, so it is ended after {minutes:.0f} minutes at the latest"
        warn(Warned(message=f"{said} ({error}); launch.timeout_minutes sets another time"))
        return minutes


def _find(api: "HfApi", run: Run, job: HubJob) -> "JobInfo | None":
    found = patiently(
        lambda: list(api.list_jobs(labels=job.labels(run), namespace=job.namespace)),
        "the Hub does not list the jobs that there are",
    )
    return next(iter(found), None)


def _submit(api: "HfApi", run: Run, job: HubJob) -> "JobInfo":
    from httpx2 import HTTPError
    from huggingface_hub import get_token
    from huggingface_hub.errors import HfHubHTTPError

    failed = f"the run cannot be given to the Hub as a job on {job.flavor}"
    patiently(
        lambda: api.create_repo(job.repository, repo_type="dataset", private=True, exist_ok=True),
        f"{failed}: {job.repository}, through which its files go, cannot be made",
    )
    private = patiently(lambda: api.repo_info(job.repository, repo_type="dataset").private, failed)
    if not private:
        raise HubError(f"{failed}: everybody can read {job.repository}; make it private on the Hub", "taken")
    config = config_there(priced(run.config, flavor_named(job.flavor, offered())))
    commit = send(api, job.repository, run.id, payload(run, config), f"What run {run.id} begins with")
    taken, lines = image()
    words = [job.repository, commit, run.id, f"{job.minutes:g}", job.stop_flag(run)]
    for _ in range(2):
        try:
            return api.run_job(
                image=taken,
                command=["bash", "-ec", "\n".join(lines), "ftspace", *words],
                env=_ENV,
                secrets={"HF_TOKEN": get_token()},
                flavor=job.flavor,
                timeout=f"{job.minutes:g}m",
                name=f"ftspace-{run.id}",
                labels=job.labels(run),
                namespace=job.namespace,
            )
        except HfHubHTTPError as error:
            raise refused(error, failed) from error
        except HTTPError:  # the answer may have been lost, and the job not
            if found := _find(api, run, job):
                return found
    raise HubError(f"{failed}: the Hub cannot be reached; check the network and resume the run", "network")


def image() -> tuple[str, list[str]]:
    """The image that a job takes and the lines of its script: a Space's own has the libraries already."""
    from huggingface_hub import __version__

    if space := read_settings().space_id:
        return f"hf.co/spaces/{space}", [*_BEGIN, *_UNPACK, *_WORK]
    client = [line.format(version=__version__) for line in _CLIENT]
    return IMAGE, [*_BEGIN, *client, *_UNPACK, *_INSTALL, *_WORK]
