"""What can go wrong, as a person meets it. Knows nothing of how it is shown.

FtspaceError            anything that ends an action with one clear line
├── ConfigError         a setting, flag or YAML file that cannot be used
├── DatasetError        a dataset that cannot be found, read or understood
├── ModelError          a model or adapter that cannot be found, read or used
├── JobError            a job that cannot be started, stopped or found
│   ├── MemoryGoneError not enough memory for what was asked
│   ├── DiskError       no room, or no right, to write where runs live
│   ├── DivergedError   the loss is no number any more
│   └── LostProcessError  a process of several that train together is gone
├── HubError            the Hub cannot be reached or refuses
└── EvalError           an evaluation or a comparison that cannot be made

Every message says what is wrong, where, and what to do. A command ends with status 2 for them, with 1 for a bug.
"""

from typing import Literal

Reason = Literal[
    "",
    "config",
    "dataset",
    "model",
    "memory",
    "disk",
    "nan_loss",
    "lost_process",
    "time_limit",
    "gpu_time",
    "hub",
    "evaluation",
    "job",
    "error",
]
"""Why a job failed; empty where none did."""

HubCause = Literal[
    "token",
    "rights",
    "missing",
    "taken",
    "conflict",
    "changed",
    "too_large",
    "quota",
    "rate",
    "server",
    "timeout",
    "network",
    "content",
    "offline",
    "refused",
]
"""What stood in the way on the Hub; `refused` for a refusal that has no word of its own."""


class FtspaceError(Exception):
    """Base of all errors that are shown without a traceback; `reason` is the word kept in a run's last event."""

    reason: Reason = "error"


class ConfigError(FtspaceError):
    """A setting that is unknown, malformed or contradicts another."""

    reason = "config"


class DatasetError(FtspaceError):
    """A dataset that is missing, unreadable, empty or of no known format."""

    reason = "dataset"


class ModelError(FtspaceError):
    """A model or adapter that is missing, gated, or of a kind that cannot be fine-tuned."""

    reason = "model"


class JobError(FtspaceError):
    """A job or run that does not exist or cannot do what was asked."""

    reason = "job"


class MemoryGoneError(JobError):
    """There is not enough memory for what was asked."""

    reason = "memory"


class DiskError(JobError):
    """The disk is full or cannot be written."""

    reason = "disk"


class DivergedError(JobError):
    """The training's loss or gradient became infinite or not a number."""

    reason = "nan_loss"


class LostProcessError(JobError):
    """One of several processes that train together is gone, or its machine is."""

    reason = "lost_process"


class HubError(FtspaceError):
    """The Hub cannot be reached, or refused; `cause` says in a word why."""

    reason = "hub"

    def __init__(self, message: str, cause: HubCause = "refused") -> None:
        super().__init__(message)
        self.cause: HubCause = cause


class EvalError(FtspaceError):
    """An evaluation that cannot be run or compared."""

    reason = "evaluation"
