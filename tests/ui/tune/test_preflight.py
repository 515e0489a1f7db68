import re
from html import unescape

import pytest

from ftspace.checks import Check
from ftspace.ui.tune.preflight import html

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
    shown, _, behind = html(found, "now").partition("<details>")
    assert head in shown and all(line.casefold() in shown.casefold() for line in open_lines)
    assert "1 thing is well" in behind and "enough &lt;is&gt; free" in behind.casefold() and "disk" not in shown


@pytest.mark.parametrize(
    ("fix", "said", "signed_in"),
    [
        (
            "raise train.max_length to 9; set model.id",
            "raise “Max length” to 9; set model.id",
            "raise “Max length” to 9",
        ),
        ("set HF_TOKEN, or run: hf auth login", "set HF_TOKEN, or run: hf auth login", "sign in again"),
        (
            "make one with the role read at http://hub/settings/tokens, then set HF_TOKEN or run hf auth login (in the "
            "app: sign in)",
            "hf auth login",
            "sign in again",
        ),
        ("check the name (private: set HF_TOKEN)", "set HF_TOKEN", "check the name (private: sign in again)"),
        (
            "make room (ftspace runs gc), name another folder with --data-dir or FTSPACE_DATA, or HF_HOME for the base",
            "ftspace runs gc",
            "ask who runs this app to make room",
        ),
    ],
)
def test_what_to_do_is_said_for_who_can_do_it(fix: str, said: str, signed_in: str) -> None:
    found = [Check("stop", "one", "a", fix)]
    visitors = _text(html(found, "now", sign_in=True))
    assert said in _text(html(found, "now")) and f"To do: {signed_in}" in visitors
    assert not any(word in visitors for word in ("ftspace runs", "HF_TOKEN", "--data-dir"))


def _text(shown: str) -> str:
    return unescape(re.sub(r"<[^>]+>", "", shown))


def test_where_to_ask_is_a_link_and_nothing_else_is() -> None:
    shown = html([Check("stop", "base access", "closed", 'ask at http://hub/a?b&c, (or https://x.org)."<b>')], "now")
    assert (
        '<a class="ft-link" href="http://hub/a?b&amp;c" target="_blank" rel="noopener">http://hub/a?b&amp;c</a>, (or '
        in shown
    )
    assert 'href="https://x.org" target="_blank" rel="noopener">https://x.org</a>).&quot;&lt;b&gt;.' in shown
