"""How a job of the Hub ended that could not say it itself, in words, with how to go on. Pure."""

from ftspace.hub.jobs.record import HubJob
from ftspace.runs import Run

_SAID = {
    "CANCELED": "the job was cancelled at the Hub, and not by this run",
    "DELETED": "the Hub does not know the job any more",
    "COMPLETED": "the job ended and did not say how",
}


def ending(run: Run, job: HubJob, how: str, message: str = "") -> str:
    """The sentence for a stage in which a job ended, for its `time` being up, or for a stop that cut it off."""
    if how == "time":
        kept = "its adapter is saved" if run.adapter.exists() else "no adapter was saved yet"
        minutes = f"{job.minutes:g} minutes (launch.timeout_minutes)"
        return f"the job used up its {minutes}; {kept}; {run.go_on()}"
    if how == "stopped":
        begun = "" if run.checkpoint is not None or run.adapter.exists() else " before it had saved anything"
        return f"the job was cancelled at the Hub{begun}; {run.go_on()}"
    said = _SAID.get(how, "the Hub ended the job")
    why = f" ({message})" if message else ""
    return f"{said}{why}: {job.url}; {run.go_on()}"
