"""What the page says about runs in a list: pure functions to words. Knows no gradio and no HTML.

`live_view.py` does the same for a run at work, `samples.py` for single answers.
"""

from dataclasses import dataclass

from ftspace.config import RunConfig
from ftspace.state import Status
from ftspace.words import STATUS_WORDS, TONES, Tone, title, when


@dataclass(frozen=True)
class RunLine:
    """One run in a list of runs."""

    id: str
    title: str
    when: str
    words: str
    tone: Tone


def run_line(
    run_id: str, config: RunConfig | None, status: Status | None, verdict: str | None, name: str = ""
) -> RunLine:
    """One run in a line; without config for a run that cannot be read. `name` is what its owner calls it."""
    if config is None or status is None:
        return RunLine(run_id, "A run that cannot be read", when(run_id), "One of its files is damaged.", "bad")
    words = STATUS_WORDS[status]
    if status == "finished" and verdict:
        words = verdict
    return RunLine(run_id, name or title(config), when(run_id), words, TONES[status])


def tail(text: str, lines: int = 40) -> str:
    """The last lines of a log."""
    return "\n".join(text.splitlines()[-lines:])
