"""Step 4 of a run without results: when they will come, or why there are none and what to do about it."""

from typing import Any

import gradio as gr

from ftspace import jobs
from ftspace.access import Visitor
from ftspace.config import RunConfig
from ftspace.errors import FtspaceError
from ftspace.reasons import EXPLAINED
from ftspace.runs import Run, RunReader
from ftspace.state import TERMINAL, RunState, Status
from ftspace.ui import markup
from ftspace.ui.desk import Desk
from ftspace.ui.part import Updates
from ftspace.ui.visitors import token_of
from ftspace.words import duration, sentence

_NO_RUN = ("No results yet", "When a run has trained and answered its tasks, the verdict stands here.")
_FOLLOW = "id => { window.ftspace.follow(id) }"


class NoResults:
    """The words, and the button that compares."""

    def __init__(self, desk: Desk, run_id: gr.Textbox) -> None:
        """Builds both where the page stands now; `run_id` holds the id of the run that is open."""
        self._desk = desk
        self.words = gr.HTML(markup.empty(*_NO_RUN))
        self.compare = gr.Button("Compare now", variant="primary", visible=False, elem_id="compare-now")
        self.told = gr.HTML()
        self.outputs: list[Any] = [self.words, self.compare, self.told]
        self.compare.click(
            self._compare, run_id, [self.compare, self.told], trigger_mode="once", show_progress="hidden",
            api_visibility="private",
        ).then(None, run_id, None, js=_FOLLOW, api_visibility="private")  # fmt: skip

    def show(self, run: Run | None, visitor: Visitor) -> Updates:
        """Nothing once there are results."""
        if run is not None and run.results.exists():
            return {self.words: "", self.compare: gr.update(visible=False), self.told: ""}
        if run is None:
            return {self.words: markup.empty(*_NO_RUN), self.compare: gr.update(visible=False), self.told: ""}
        reader = RunReader(run)
        status = reader.status()
        trained = run.adapter.is_dir() and "train" not in reader.state.unfinished(run.jobs)
        title, text = why(status, reader.state, run.config, trained=trained)
        ready = status in TERMINAL and trained and bool(run.config.eval.tasks)
        again = ("start one", f"?from={run.id}")
        after = "" if run.config.eval.tasks else markup.note("A new run with its settings:", link=again)
        return {
            self.words: markup.empty(title, text) + after,
            self.compare: gr.update(visible=ready and visitor.may_change(run.access), interactive=True),
            self.told: "",
        }

    def news(self, run: Run, visitor: Visitor) -> Updates:
        """The same, as the run is now."""
        return self.show(run, visitor)

    def _compare(self, request: gr.Request, run_id: str) -> Updates:
        """What `ftspace runs evaluate` does."""
        try:
            run = self._desk.own(run_id, self._desk.visitor(request))
            self._desk.admit(request, "start")
            jobs.evaluate(run, token_of(request))
        except FtspaceError as error:
            return {self.told: markup.note(str(error), "bad")}
        self._desk.followers.of(run_id).void()
        told = "It is queued. How far it is stands under Tune; the results come here by themselves."
        return {self.compare: gr.update(interactive=False), self.told: markup.note(told, "busy")}


def why(status: Status, state: RunState, config: RunConfig, *, trained: bool) -> tuple[str, str]:
    """Why a run has no results: a title, and what will happen or can be done.

    `trained` tells whether its training is finished, so that only the comparison is to be made.
    """
    if not config.eval.tasks:
        how = "Its settings name no tasks (eval.tasks), so base and tuned are asked nothing. Name some in a new run."
        return "This run compares nothing", how
    now = "Its training is done: compare it now." if trained else "Go on with it under Tune; the comparison follows."
    match status:
        case "queued":
            return "Waiting for its turn", "The verdict stands here once it has trained and answered its tasks."
        case "running" | "stopping" if state.job == "evaluate":
            left = state.asking_seconds
            when = f" About {duration(left)} left." if left is not None else ""
            done = f"{100 * state.asked:.0f} % of the questions are asked." if state.asked is not None else ""
            return "Base and tuned are being asked", f"{done}{when} The verdict comes here by itself.".strip()
        case "running" | "stopping":
            eta = state.eta_seconds
            when = f"About {duration(eta)} of training left. " if eta is not None else ""
            then = "Then base and tuned are asked the same questions, and the verdict comes here."
            return "It is training", f"{when}{then}"
        case "waiting for GPU time":
            done = f" {100 * state.asked:.0f} % of the questions are asked." if state.asked is not None else ""
            return "Waiting for GPU time", f"It goes on by itself, and the verdict comes here.{done}"
        case "failed":
            end = state.end(["train", "evaluate"])
            found = EXPLAINED[end.reason if end else ""]
            said = f"{sentence(end.message)} " if end and end.message else ""
            return f"No results: {found.title}", f"{said}{now if trained else found.advice}"
        case "cancelled":
            return "It was stopped before it was compared", now
        case "interrupted":
            return "It ended without a word before it was compared", now
        case "finished" if state.verdict is not None:
            return "The results are not there any more", "They were once; compare it again to have them."
        case "finished":
            return "Nothing was compared", "No question was left to ask; the warnings under Tune say why."
