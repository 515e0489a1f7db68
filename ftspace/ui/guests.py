"""What a Space with sign-in shows beside the steps: who is signed in, how to have one's own, and who may see a run.

Nothing of it is there where nobody signs in.
"""

from typing import Any

import gradio as gr

from ftspace.access import Visitor
from ftspace.errors import FtspaceError
from ftspace.runs import Run
from ftspace.ui import markup
from ftspace.ui.desk import Desk

Updates = dict[Any, Any]


class Door:
    """The sign-in."""

    def __init__(self, desk: Desk) -> None:
        """Builds it where the page stands now."""
        self._desk = desk
        self.outputs: list[Any] = []
        if not desk.settings.sign_in:
            return
        with gr.Row(elem_classes="ft-door", elem_id="door"):
            self._who = gr.HTML(elem_id="who")
            gr.LoginButton("Sign in with Hugging Face", "Sign out ({})", size="sm", scale=0, min_width=230)
        self.outputs = [self._who]

    def show(self, run: Run | None, visitor: Visitor) -> Updates:
        """Who is signed in, and what that gives."""
        return {self._who: markup.note(self._words(visitor))} if self.outputs else {}

    def _words(self, visitor: Visitor) -> str:
        if visitor.may_start:
            return f"Signed in as {visitor.name}. Your runs are yours alone until you show them."
        users = self._desk.settings.users
        who = "everybody who signs in" if "*" in users else ", ".join(users) or "nobody"
        said = f"Signed in as {visitor.name}. " if visitor.name else ""
        return f"{said}On this Space {who} may start runs; everybody may look at those that are shown."


class Invitation:
    """How to have runs of one's own, for those who may not start any here; it stands below the gallery."""

    def __init__(self, desk: Desk) -> None:
        """Builds it where the page stands now."""
        self.outputs: list[Any] = []
        if not desk.settings.sign_in:
            return
        with gr.Column(visible=False) as self._column:
            gr.HTML(
                markup.heading(
                    "Your own",
                    "Duplicate this Space: the copy is yours, on hardware that you choose and pay for by the hour, and "
                    "nobody else can start a run there or see one. Small models train on a small GPU in minutes.",
                )
            )
            gr.DuplicateButton("Duplicate this Space", size="md")
        self.outputs = [self._column]

    def show(self, run: Run | None, visitor: Visitor) -> Updates:
        """For whom it is, where no run is open."""
        return {self._column: gr.update(visible=run is None and not visitor.may_start)} if self.outputs else {}

    def news(self, run: Run, visitor: Visitor) -> Updates:
        """Nothing: it does not change."""
        return {}


class OwnersOnly:
    """A step that only those who may start runs can use; all others read why, instead of being refused there."""

    def __init__(self) -> None:
        """Builds both where the page stands now; the step goes into `step`."""
        self._told = gr.HTML(visible=False)
        self.step = gr.Column()
        self.outputs: list[Any] = [self._told, self.step]

    def show(self, words: str, visitor: Visitor) -> Updates:
        """The step, or these words for a visitor who can do nothing with it."""
        more = "Its recipe and its data stand in its report, under Results. For runs of your own sign in, or duplicate "
        told = markup.empty(words, f"{more}this Space.")
        return {
            self._told: gr.update(value=told, visible=not visitor.may_start),
            self.step: gr.update(visible=visitor.may_start),
        }


class Sharing:
    """The switch with which an owner lets everybody see a run."""

    def __init__(self, desk: Desk, run_id: gr.Textbox) -> None:
        """Builds the switch where the page stands now; `run_id` holds the id of the run that is open."""
        self._desk = desk
        self.outputs: list[Any] = []
        if not desk.settings.sign_in:
            return
        self._public = gr.Checkbox(
            label="Everybody may see this run",
            info="Its settings, curves, answers and results, with the questions asked. Its log and its dataset stay "
            "yours, and nobody else can change it.",
            visible=False,
            elem_id="share-run",
        )
        self._told = gr.HTML()
        self.outputs = [self._public, self._told]
        self._public.input(
            self._share, [run_id, self._public], self.outputs, api_visibility="private", show_progress="hidden"
        )

    def show(self, run: Run | None, visitor: Visitor) -> Updates:
        """The switch of an open run, for its owner."""
        if not self.outputs:
            return {}
        access = run.access if run else None
        mine = access is not None and visitor.may_change(access)
        return {self._public: gr.update(visible=mine, value=access is not None and access.public), self._told: ""}

    def _share(self, request: gr.Request, run_id: str, public: bool) -> tuple[Any, str]:
        try:
            self._desk.own(run_id, self._desk.visitor(request)).share(public=public is True)
        except FtspaceError as error:
            return gr.skip(), markup.note(str(error), "bad")
        return gr.skip(), markup.note("Everybody may see it now." if public is True else "Only you see it now.")
