"""What is kept of a run's job of the Hub, in `hub_job.json` in the run's folder: by it the job is found again.

It is written before the job is submitted, so that whoever finds it after a process was killed looks whether the Hub has
the job before he submits another. Nothing in it is secret. Knows no network.
"""

import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from ftspace.runs import Run

NAME, OUTPUT = "hub_job.json", "hub_job.log"
RUN_LABEL, ATTEMPT_LABEL = "ftspace-run", "ftspace-attempt"
REPOSITORY = "ftspace-runs"
"""The private dataset repository, of whoever submits, in which each run has a folder."""


class HubJob(BaseModel):
    """One job, from the wish to submit it until all that it made lies here."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)

    attempt: int
    """From 1; each job of the run has another one."""
    namespace: str
    """Whose job it is."""
    flavor: str
    minutes: float
    """After which the Hub ends it."""
    id: str | None = None
    """The Hub's name for it; None while it is not known to be submitted."""
    url: str = ""
    over: bool = False
    """Whether it has ended, and what it made was fetched as far as it can be."""

    @property
    def repository(self) -> str:
        """Where its files travel through."""
        return f"{self.namespace}/{REPOSITORY}"

    def labels(self, run: Run) -> dict[str, str]:
        """By which the Hub finds it."""
        return {RUN_LABEL: run.id, ATTEMPT_LABEL: str(self.attempt)}

    def stop_flag(self, run: Run) -> str:
        """The file in the repository that tells the job to stop."""
        return f"{run.id}/stop-{self.attempt}"


def path_of(run: Run) -> Path:
    """Where it is kept."""
    return run.path / NAME


def read_job(run: Run) -> HubJob | None:
    """The run's newest job; None where it has none that can be read."""
    try:
        return HubJob.model_validate_json(path_of(run).read_bytes())
    except (OSError, ValueError):
        return None


def write_job(run: Run, job: HubJob) -> HubJob:
    """Writes it, whole or not at all, and gives it back. Raises OSError."""
    beside = run.path / f".{NAME}-new"
    with beside.open("w", encoding="utf-8") as file:
        file.write(job.model_dump_json(indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path_of(run))
    return job
