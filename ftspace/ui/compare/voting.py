"""Blind votes in the page: two answers without names, five buttons and their keys, and what all votes say.

Votes lie with the run (voting.py); only its owner votes, and who may see the run sees what the votes say.
"""

import json
from typing import Any

import gradio as gr

from evals.arena.votes import FILE, Choice
from evals.plan import BASE, TUNED
from evals.titles import task_title
from ftspace.access import Visitor
from ftspace.errors import FtspaceError
from ftspace.runs import Run
from ftspace.ui import markup
from ftspace.ui.compare import voting_markup
from ftspace.ui.desk import Desk
from ftspace.ui.part import Updates
from ftspace.voting import Poll, counted, prove, sides_of, tasks_of
from ftspace.words import side_name

_PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
_ALL = "All questions"
_MOST_SKIPPED = 2000
_MOST_COUNTED = 5000
"""With more ballots than these the tally is made when its panel is opened, and not after each vote."""
_CHOICES: dict[str, Choice] = {"first": "first", "second": "second", "tie": "tie", "bad": "bad"}
_KEYS = """
const panel = element.closest('#voting')
const ballot = () => element.querySelector('.ft-ballot')
if (panel && !panel.dataset.keys) {
  panel.dataset.keys = 'yes'
  const buttons = {
    1: 'vote-first', 2: 'vote-second', 0: 'vote-tie', '=': 'vote-tie', x: 'vote-bad', s: 'vote-skip', u: 'vote-undo'
  }
  panel.addEventListener('keydown', event => {
    const id = buttons[event.key.toLowerCase()]
    if (!id || event.ctrlKey || event.metaKey || event.altKey || event.target.closest('input, textarea')) return
    event.preventDefault()
    document.getElementById(id)?.click()
  })
}
let shown = null
new MutationObserver(() => {
  const now = ballot(), at = document.activeElement
  if (!now || now.outerHTML === shown) return
  shown = now.outerHTML
  if (at === document.body || element.contains(at) || at?.id === 'vote-begin') now.focus({ preventScroll: true })
}).observe(element, { childList: true, subtree: true, characterData: true })
"""


class Voting:
    """The widgets of the tab."""

    def __init__(self, desk: Desk, run_id: gr.Textbox) -> None:
        """Builds them inside the tab that is open; `run_id` holds the id of the run that is open."""
        self._desk = desk
        with gr.Column(elem_id="voting"):
            self.words = gr.HTML(markup.empty(*_NOTHING))
            with gr.Column(visible=False) as self.booth:
                with gr.Row():
                    self.task = gr.Dropdown(label="Which questions", choices=[_ALL], min_width=200, elem_id="vote-task")
                    self.sides = gr.Dropdown(
                        label="Whose answers", choices=[], multiselect=True, min_width=240, elem_id="vote-sides"
                    )
                    self.begin = gr.Button("Begin", variant="primary", min_width=120, elem_id="vote-begin")
                self.ballot: Any = gr.HTML(js_on_load=_KEYS, elem_id="ballot")
                with gr.Row(visible=False, elem_classes="ft-votes") as self.buttons:
                    self.a = gr.Button("A is better (1)", min_width=110, elem_id="vote-first")
                    self.equal = gr.Button("Equal (0)", min_width=90, elem_id="vote-tie")
                    self.b = gr.Button("B is better (2)", min_width=110, elem_id="vote-second")
                    self.bad = gr.Button("Both bad (x)", min_width=100, elem_id="vote-bad")
                    self.skip = gr.Button("Skip (s)", min_width=80, elem_id="vote-skip")
                with gr.Row(visible=False, elem_classes="ft-tight ft-voted") as self.after:
                    self.last = gr.HTML()
                    self.undo = gr.Button("Undo (u)", size="sm", scale=0, min_width=90, elem_id="vote-undo")
                    self.reveal = gr.Button(
                        "Show who wrote what", size="sm", scale=0, min_width=170, elem_id="vote-reveal"
                    )
            self.told = gr.HTML()
            with gr.Accordion("What the votes say", open=False, visible=False, elem_id="tally") as self.box:
                self.tally = gr.HTML()
            self.token = gr.Textbox(elem_classes="ft-hidden", label="Ballot")
            self.skipped = gr.Textbox("[]", elem_classes="ft-hidden", label="Skipped")
        self.outputs: list[Any] = [
            self.words, self.booth, self.task, self.sides, self.begin, self.ballot, self.buttons, self.after, self.told,
            self.box, self.tally, self.token, self.skipped,
        ]  # fmt: skip
        asked = [run_id, self.task, self.sides, self.token, self.skipped]
        turned = [
            self.begin, self.ballot, self.buttons, self.after, self.last, self.undo, self.reveal, self.told, self.box,
            self.token, self.skipped,
        ]  # fmt: skip
        for widget, act in (
            (self.begin, "begin"), (self.a, "first"), (self.b, "second"), (self.equal, "tie"), (self.bad, "bad"),
            (self.skip, "skip"), (self.undo, "undo"), (self.reveal, "reveal"),
        ):  # fmt: skip
            done = widget.click(self._actor(act), asked, turned, trigger_mode="once", **_PRIVATE)
            if act not in ("begin", "skip"):
                done.then(self._recount, asked[:3], self.tally, trigger_mode="always_last", **_PRIVATE)
        for chosen in (self.task, self.sides):
            chosen.input(self._actor("begin"), asked, turned, trigger_mode="always_last", **_PRIVATE)
        self.box.expand(self._count, run_id, self.tally, **_PRIVATE)

    def show(self, run: Run | None, visitor: Visitor) -> Updates:
        """What can be voted on, before anybody begins; or why nothing can be."""
        hidden = {one: gr.update(visible=False) for one in (self.booth, self.buttons, self.after, self.box)} | {
            self.told: "",
            self.ballot: "",
            self.tally: "",
            self.token: "",
            self.skipped: "[]",
        }
        try:
            sides = sides_of(run) if run else []
            tasks = tasks_of(run) if run else []
        except FtspaceError as error:
            return {**hidden, self.words: markup.note(str(error), "bad")}
        if run is None or len(sides) < 2:
            return {**hidden, self.words: markup.empty(*_NOTHING)}
        mine = visitor.may_change(run.access)
        voted = (run.evals / FILE).exists()
        said = _ABOUT if mine else _OTHERS if voted else _NONE_YET
        usual = [side for side in sides if side in (BASE, TUNED)]
        return {
            **hidden,
            self.words: markup.heading("Which answer is better?", said),
            self.booth: gr.update(visible=mine),
            self.task: gr.update(choices=[(_ALL, ""), *((task_title(task), task) for task in tasks)], value=""),
            self.sides: gr.update(
                choices=[(side_name(side), side) for side in sides], value=usual if len(usual) > 1 else sides[:2]
            ),
            self.begin: gr.update(value="Go on" if voted else "Begin", visible=True),
            self.box: gr.update(visible=voted, open=False),
        }

    def news(self, run: Run, visitor: Visitor) -> Updates:
        """The same: other answers are another vote."""
        return self.show(run, visitor)

    def _actor(self, act: str) -> Any:
        def acted(request: gr.Request, run_id: str, task: Any, sides: Any, token: Any, skipped: Any) -> Updates:
            try:
                visitor = self._desk.visitor(request)
                run = self._desk.own(run_id, visitor)
                poll = _poll(run, visitor, task, sides)
                passed = _passed(skipped)
                if act in _CHOICES:
                    poll.vote(str(token), _CHOICES[act])
                elif act == "undo":
                    poll.undo()
                elif act == "reveal":
                    poll.reveal()
                elif act == "skip":
                    passed = [*(one for one in passed if one != token), str(token)][-_MOST_SKIPPED:]
                return self._turn(run, poll, passed)
            except FtspaceError as error:
                return {self.told: markup.note(str(error), "bad")}

        return acted

    def _turn(self, run: Run, poll: Poll, passed: list[str]) -> Updates:
        turn = poll.turn(passed)
        if turn.paper is not None and turn.paper.token in passed:  # only skipped ones are left: once around again
            passed = []
        over = turn.paper is None and turn.total > 0
        stands = turn.last is None or turn.last.whose is not None
        return {
            self.begin: gr.update(visible=False),
            self.ballot: voting_markup.ballot(turn, counted(run) if over else None),
            self.buttons: gr.update(visible=turn.paper is not None),
            self.after: gr.update(visible=turn.last is not None),
            self.last: voting_markup.last(turn.last),
            self.undo: gr.update(interactive=not stands),
            self.reveal: gr.update(interactive=not stands),
            self.told: "",
            self.box: gr.update(visible=(run.evals / FILE).exists()),
            self.token: turn.paper.token if turn.paper else "",
            self.skipped: json.dumps(passed),
        }

    def _recount(self, request: gr.Request, run_id: str, task: Any, sides: Any) -> Any:
        """The tally after a vote, and what it says of the run's judges."""
        try:
            visitor = self._desk.visitor(request)
            run = self._desk.own(run_id, visitor)
            if _poll(run, visitor, task, sides).total > _MOST_COUNTED:
                return gr.skip()
            prove(run)
        except FtspaceError as error:
            return markup.note(str(error), "bad")
        return self._count(request, run_id)

    def _count(self, request: gr.Request, run_id: str) -> str:
        """What all votes on the run say."""
        try:
            return voting_markup.tally(counted(self._desk.get(run_id, self._desk.visitor(request))))
        except FtspaceError as error:
            return markup.note(str(error), "bad")


_NOTHING = (
    "Nothing to vote on yet",
    "When base and tuned have answered the run's tasks, judge them here without names.",
)
_ABOUT = (
    "You are not told whose answer is whose. Keys, with the panel in focus: 1 and 2 vote, 0 is equal, x both bad, s "
    "skips, u takes the last vote back."
)
_OTHERS = "The run's owner votes; what the votes say is below."
_NONE_YET = "The run's owner votes, and has not yet."


def _poll(run: Run, visitor: Visitor, task: Any, sides: Any) -> Poll:
    chosen = [str(one) for one in sides] if isinstance(sides, list) else []
    return Poll(run, visitor.name, chosen, task if isinstance(task, str) else "")


def _passed(skipped: Any) -> list[str]:
    """The tokens that a page has skipped."""
    try:
        found = json.loads(skipped) if isinstance(skipped, str) else []
    except (ValueError, RecursionError):
        return []
    return [one for one in found if isinstance(one, str)][:_MOST_SKIPPED] if isinstance(found, list) else []
