"""Handlers of which only the latest call counts, each by itself.

A call that comes while one is at work waits, and is then made by its event, which calls all that hang on it (Gradio
6.31): where two such handlers hang on one event, two changes at once have them call each other without end.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import gradio as gr
from gradio.events import Dependency

_NOTHING = "() => []"


def latest(
    events: Sequence[Any],
    handler: Callable[..., Any],
    inputs: Any,
    outputs: Any,
    *,
    progress: Literal["hidden", "minimal"] = "hidden",
    **how: Any,
) -> Dependency:
    """Has `handler` called on `events`, with the latest inputs, once at a time; `how` as with gr.on."""
    moment = gr.on(events, None, None, None, js=_NOTHING, api_visibility="private")
    return moment.then(
        handler, inputs, outputs, trigger_mode="always_last", show_progress=progress, api_visibility="private", **how
    )
