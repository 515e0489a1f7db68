"""No two handlers of the page call each other without end."""

import asyncio
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import gradio as gr

from ftspace.settings import read_settings
from ftspace.ui.app import build_app
from ftspace.ui.latest import latest


def twice(build: Callable[[], gr.Blocks]) -> list[tuple[int | None, str]]:
    """Events on which more than one handler hangs whose calls wait for each other."""

    async def built() -> gr.Blocks:  # where no loop is running Gradio makes one, and leaves it open
        return build()

    waiting = [one for one in asyncio.run(built()).fns.values() if one.fn and one.trigger_mode == "always_last"]
    hung = Counter(target for one in waiting for target in one.targets if target[0] is not None)
    return [event for event, number in hung.items() if number > 1]


def test_no_event_of_the_page_has_two_handlers_that_wait(tmp_path: Path) -> None:
    settings = read_settings(tmp_path / "data", environ={"FTSPACE_WARM": "0"})
    assert twice(lambda: build_app(settings).blocks) == []


def test_handlers_hang_on_steps_of_their_own() -> None:
    def blocks(*, apart: bool) -> gr.Blocks:
        with gr.Blocks() as made:
            box, said = gr.Textbox(), gr.Textbox()
            for _ in range(2):
                latest([box.change], str.upper, box, said) if apart else box.change(str.upper, box, said)
        return made

    assert len(twice(lambda: blocks(apart=False))) == 1 and twice(lambda: blocks(apart=True)) == []
