import pytest

from ftspace.checks import Check
from ftspace.ui.preflight import html

WELL = Check("ok", "disk", "enough <is> free")
WARNED = Check("warning", "license", "the dataset asks for non-commercial use", "read it")
STOPPED = Check("stop", "token", "there is none", "set HF_TOKEN")


@pytest.mark.parametrize(
    ("found", "head", "open_lines"),
    [
        ([WELL], "Nothing stands in the way", []),
        ([WELL, WARNED], "It can be started", ["Read it", "License"]),
        ([WARNED, WELL, STOPPED], "would not get far", ["Set HF_TOKEN", "License", "Token"]),
    ],
)
def test_what_is_due_is_open_and_what_is_well_is_behind_a_line(
    found: list[Check], head: str, open_lines: list[str]
) -> None:
    shown, _, behind = html(found).partition("<details>")
    assert head in shown and all(line.casefold() in shown.casefold() for line in open_lines)
    assert "1 thing is well" in behind and "enough &lt;is&gt; free" in behind.casefold() and "disk" not in shown
