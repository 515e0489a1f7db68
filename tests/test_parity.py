"""Everything that the app can do the command line can do too, and nothing of either goes unsaid."""

import json
import re
import subprocess
import sys
from pathlib import Path

from ftspace import reference
from ftspace.settings import ROOT, worker_env
from ftspace.ui import parity

BUTTONS = """
import json, sys
import gradio as gr
from ftspace.settings import read_settings
from ftspace.ui.app import Page
from ftspace.ui.desk import Desk
page = Page(Desk.of(read_settings(sys.argv[1], {})))
found = [one for one in page.blocks.blocks.values() if isinstance(one, gr.Button | gr.UploadButton | gr.DownloadButton)]
print(json.dumps([one.elem_id or getattr(one, "label", None) or one.value for one in found]))
"""


def test_every_command_has_its_line() -> None:
    documented = re.findall(r"^## ftspace (.+)$", reference.commands(), re.MULTILINE)
    groups = {name.rpartition(" ")[0] for name in documented}
    assert set(documented) - groups == parity.commands()


def test_every_button_has_its_line(tmp_path: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-c", BUTTONS, str(tmp_path)],
        cwd=ROOT,
        env=worker_env(offline=True),
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(json.loads(told.stdout.splitlines()[-1])) == parity.buttons()


def test_what_only_one_side_can_do_says_why() -> None:
    for act in parity.ACTS:
        assert (act.command and (act.page or act.shown)) or act.why, act.does
        assert act.command or act.page, act.does
