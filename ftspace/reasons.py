"""Why a run failed, in words: a title for each reason, and what a person should do next. Knows no run and no screen."""

from dataclasses import dataclass

from ftspace.errors import Reason


@dataclass(frozen=True)
class Explained:
    """A reason in words."""

    title: str
    """What happened, as it goes on after a colon."""
    advice: str
    """What to do next, in sentences."""
    goes_on: bool = True
    """Whether the same run can be gone on with once that is done; else a new one has to be made."""


EXPLAINED: dict[Reason, Explained] = {
    "": Explained("the run failed", "Look at the last lines of its log, then go on with it."),
    "config": Explained(
        "a setting cannot be used",
        "Change the setting that the message names, in a new run.",
        goes_on=False,
    ),
    "dataset": Explained(
        "the dataset cannot be used",
        "Look at how it is read (ftspace inspect DATASET, or the app's first step). Mend its rows and go on with the "
        "run, or change the mapping in a new one. A gated or private dataset needs access: ask for it on its page of "
        "the Hub, then sign in, or set HF_TOKEN to a token that may read it.",
    ),
    "model": Explained(
        "the model cannot be used",
        "Check its name. A gated or private model needs access: ask for it on its page of the Hub, then sign in, or "
        "set HF_TOKEN to a token that may read it, and go on with the run. Otherwise choose another model.",
    ),
    "memory": Explained(
        "memory ran out",
        "Lower train.micro_batch_tokens first, then train.max_length; turn train.gradient_checkpointing on; hold the "
        "base in 4 bits (model.quantization nf4); or take a smaller model. ftspace estimate says beforehand what fits. "
        "That takes a new run.",
        goes_on=False,
    ),
    "disk": Explained(
        "the disk is full or cannot be written",
        "Make room: ftspace runs gc --dry-run says what can go and how much that is (more with --all), ftspace runs gc "
        "removes it, and ftspace runs delete RUN a whole run. Then go on with the run from its newest checkpoint.",
    ),
    "nan_loss": Explained(
        "the training diverged",
        "Lower train.learning_rate (ftspace lr-find looks for one), set train.on_divergence to rollback, and look for "
        "broken rows in the dataset. That takes a new run.",
        goes_on=False,
    ),
    "lost_process": Explained(
        "the run's process was lost",
        "Something ended it from outside: most often the system, because memory ran out, or a restart. Go on with the "
        "run from its newest checkpoint. If it is lost again, lower train.micro_batch_tokens in a new run.",
    ),
    "time_limit": Explained(
        "the time limit was reached",
        "Go on with the run from its newest checkpoint, or raise FTSPACE_MAX_MINUTES, which is whoever runs this app's "
        "to do; for a job of the Hub it is launch.timeout_minutes of a new run. With train.max_minutes below that "
        "limit a run ends in time by itself, saved and compared.",
    ),
    "gpu_time": Explained(
        "GPU time ran out",
        "Go on with the run when there is some again: it takes up its newest checkpoint, and answers that were given "
        "are not asked for again.",
    ),
    "hub": Explained(
        "the Hub could not be asked",
        "Check the network, HF_TOKEN and status.huggingface.co, then go on with the run. With hub.offline it uses only "
        "what is on this machine.",
    ),
    "evaluation": Explained(
        "the comparison could not be made",
        "The adapter is saved. Mend the task that the message names and go on with the run: only the comparison is "
        "made again.",
    ),
    "job": Explained("the job could not be done", "Do what the message says."),
    "error": Explained(
        "the program has a fault",
        "The last lines of the log show where. Going on with the run may help; if it fails again, report it with these "
        "lines.",
    ),
}
"""A word to a person for every reason that a job can fail for."""


def last_lines(log: bytes, most: int = 20) -> str:
    """The last lines of a log, of each what a terminal would show: progress bars write over themselves."""
    lines = [line.rstrip("\r").rpartition("\r")[2] for line in log.decode(errors="replace").split("\n")]
    return "\n".join([line for line in lines if line.strip()][-most:])
