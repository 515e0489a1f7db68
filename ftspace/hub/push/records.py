"""What is asked of a push and what it left, as they lie in a run's folder. Knows no network, no torch and no screen.

push/<what>/request.json   who asked for what, written before the push begins; never holds a token
           events.jsonl    what the push tells, one line each; its own file, for the run's jobs have another writer
           lock, stop      as a run's: held while it works; there once somebody asked it to stop
           bundle/         the files that are pushed, made anew by each try: equal content gives equal bytes
           record.json     written last, and only after what the Hub holds was read back and compared
"""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

What = Literal["adapter", "merged"]
"""What is pushed; each goes to a repository of its own."""


class PushRequest(BaseModel):
    """What somebody wants to be pushed, and where to."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    what: What = "adapter"
    repo_id: str
    """`owner/name` on the Hub; made if it is not there."""
    public: bool = False
    """Let everybody read it."""


class PushRecord(BaseModel):
    """A push that was verified."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    what: What
    repo_id: str
    url: str
    commit: str
    """The revision that holds exactly these files."""
    private: bool
    files: dict[str, str]
    """SHA-256 of each file that was pushed, by its path in the repository."""
    new: bool
    """False when the repository held all of it already, so that no commit was made."""
    time: float
    """Unix time in seconds at which it was verified."""


class PushFolder:
    """The places of one kind of push in a run's folder."""

    def __init__(self, run_dir: Path, what: What = "adapter") -> None:
        """Nothing is made here."""
        self.path = run_dir / "push" / what
        self.request = self.path / "request.json"
        self.events = self.path / "events.jsonl"
        self.lock = self.path / "lock"
        self.stop_flag = self.path / "stop"
        self.bundle = self.path / "bundle"
        self.record = self.path / "record.json"
