"""What a page that has just come holds, and what it is sent. Knows Gradio's updates, and no run."""

from typing import Any

import gradio as gr
from gradio.blocks import Block

from ftspace.ui.part import Updates


def blank(page: gr.Blocks) -> None:
    """Has text boxes that were built with nothing hold an empty text, as they do once somebody has emptied them.

    Else the first empty text that a box is given would be a change, of which its handlers are told.
    """
    for widget in page.blocks.values():
        if isinstance(widget, gr.Textbox) and widget.value is None:
            widget.value = ""


def changes(updates: Updates) -> Updates:
    """What of the updates for a page changes it while it shows what its widgets were built with.

    All else would be work for the browser: it looks for the widget and draws it again, and each thing in it.
    """
    return {widget: update for widget, update in updates.items() if not _stands(widget, update)}


def _stands(widget: Any, update: Any) -> bool:
    """Whether a widget was built so; False where that cannot be told."""
    if isinstance(update, Block):
        return False
    asks = update.get("__type__") == "update" if isinstance(update, dict) else False
    wanted: dict[str, Any] = {k: v for k, v in update.items() if k != "__type__"} if asks else {"value": update}
    if isinstance(widget, gr.HTML | gr.Textbox) and wanted in ({"value": ""}, {"value": None}):
        return not widget.value
    return all(_same(getattr(widget, name, ...), value) for name, value in wanted.items())


def _same(built: Any, value: Any) -> bool:
    """Whether both are the same, and something: for nothing Gradio's widgets have defaults, such as 0 for a number."""
    return built is not None and type(built) is type(value) and built == value
