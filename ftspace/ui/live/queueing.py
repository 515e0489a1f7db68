"""Where a run stands that waits for the machine. No gradio here."""

from ftspace import jobs, queue
from ftspace.runs import Run, RunStore
from ftspace.ui.live.live_view import Turn


def turn_of(store: RunStore, run: Run) -> Turn | None:
    """The run's place among all that wait, None when it does not; sees to it that somebody looks after them."""
    jobs.look_after(store)
    found = next((one for one in queue.waiting(store) if one.run.id == run.id), None)
    return Turn(found.place, found.starts_in) if found else None
