import base64
import html
import io
import itertools
import json
import logging
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from evals.redact import hide
from ftspace.redact import MOST_KEPT, keep_secret, redact
from ftspace.settings import secrets_in_env
from ftspace.streams import HELD, Guarded, guard

TOKEN = "k4n/ry+T0ken=of&the<test>"
FORMS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "percent": lambda text: quote(text, safe=""),
    "percent, small": lambda text: quote(text, safe="").replace("%2F", "%2f").replace("%2B", "%2b"),
    "percent, slashes left": quote,
    "form": quote_plus,
    "json": lambda text: json.dumps(text)[1:-1],
    "repr": lambda text: repr(text)[1:-1],
    "html": html.escape,
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 for URLs": lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
}
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=40)
SECRET = st.text(st.characters(min_codepoint=33, max_codepoint=255, exclude_characters="[]"), min_size=8, max_size=60)


@pytest.fixture(autouse=True)
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ftspace.redact._kept", {})
    monkeypatch.setattr("ftspace.redact._typed", {})


@given(secret=SECRET, before=TEXT, after=TEXT, form=st.sampled_from(sorted(FORMS)))
def test_no_form_of_a_secret_is_left(secret: str, before: str, after: str, form: str) -> None:
    written = FORMS[form](secret)
    assume(written not in before + after and secret not in "redacted")
    clean = hide(f"{before}{written}{after}", [secret])
    assert written not in clean
    assert "[redacted]" in clean


@given(secret=SECRET, user=TEXT, after=TEXT)
def test_a_secret_behind_a_name_in_base64_is_found(secret: str, user: str, after: str) -> None:
    encoded = base64.b64encode(f"{user}:{secret}".encode()).decode()
    clean = hide(f"Basic {encoded} {after}", [secret])
    left = clean.removeprefix("Basic ").partition("[redacted]")[0]
    assert "[redacted]" in clean
    assert len(left) * 6 <= len(f"{user}:".encode()) * 8, "nothing of the secret stands before"


@given(text=TEXT, secret=SECRET)
def test_a_text_without_secrets_is_left_as_it_is(text: str, secret: str) -> None:
    assume(not any(form(secret) in text for form in FORMS.values()))
    assert hide(text, [secret]) == text
    assert hide(text, ["short", ""]) == text


@pytest.mark.parametrize(
    "text",
    [
        "hf_" + "a1" * 17,
        "hf_oauth_eyJhbGciOi.JIUzI1-NiJ9_abc",
        "sk-proj-0123456789abcdef",
        "ghp_0123456789abcdefghij",
        "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJtZSJ9.c2lnbmF0dXJl",
        "Authorization: Bearer abcdefgh.ijklmnop",
        "{'authorization': 'Basic bWU6c2VjcmV0'}",
        "https://me:s3cret@hub.example/x",
        "http://127.0.0.1:80/x?token=s3cret&y=1",
        "https://cdn/x?Expires=1&Signature=s3cret~&X-Amz-Security-Token=s3cret",
    ],
)
def test_known_shapes_are_taken_out(text: str) -> None:
    clean = redact(text)
    assert "[redacted]" in clean
    assert not any(
        part in clean for part in ("a1a1a1", "oauth_eyJ", "0123456789", "eyJzdWI", "ijklmnop", "bWU6", "s3cret")
    )


@pytest.mark.parametrize(
    "text",
    ["hf_raise_for_status(response)", "basic internationalization", "http://127.0.0.1:8080/me@x", "the skeleton sk-1"],
)
def test_what_only_looks_like_a_secret_stays(text: str) -> None:
    assert redact(text) == text


def test_what_is_held_in_memory_is_known_and_the_oldest_goes_first() -> None:
    assert redact(f"a {TOKEN} b") == f"a {TOKEN} b"
    keep_secret(TOKEN)
    keep_secret("short")
    keep_secret(None)
    assert redact(f"a {TOKEN} b short") == "a [redacted] b short"
    for number in range(MOST_KEPT + 1):
        keep_secret(f"another token {number}", typed=True)
    assert redact(f"{TOKEN} another token 0, another token {MOST_KEPT}") == "[redacted] another token 0, [redacted]"
    for number in range(MOST_KEPT):
        keep_secret(f"a further token {number}")
    assert TOKEN in redact(TOKEN)


def test_the_environment_and_the_stored_login_are_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = {"MY_API_KEY": "k" * 9, "FTSPACE_WEBHOOK": "https://x/y", "HF_TOKEN_PATH": "/home/x/t", "A_TOKEN": "short"}
    assert secrets_in_env(named) == ["k" * 9, "https://x/y"]
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.delenv("HF_TOKEN_PATH", raising=False)
    assert redact(TOKEN) == "[redacted]"
    (tmp_path / "token").unlink()
    assert redact(TOKEN) == TOKEN


@given(cuts=st.lists(st.integers(0, 200), max_size=8))
def test_a_stream_lets_no_secret_through_in_pieces(cuts: list[int]) -> None:
    keep_secret(TOKEN)
    text = f"one {TOKEN} two\rthree {TOKEN}\nfour\n"
    out = io.StringIO()
    stream = Guarded(out)
    places = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    for start, stop in itertools.pairwise(places):
        stream.write(text[start:stop])
    assert out.getvalue() == "one [redacted] two\rthree [redacted]\nfour\n"


def test_a_long_line_is_let_go_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    keep_secret(TOKEN)
    out = io.StringIO()
    stream = Guarded(out)
    for _ in range(HELD // 8):
        stream.write(TOKEN)
        stream.write(" ")
    assert out.getvalue()
    stream.flush()
    assert TOKEN not in out.getvalue() and out.getvalue().count("[redacted]") == HELD // 8


def test_prints_logs_and_tracebacks_are_guarded(monkeypatch: pytest.MonkeyPatch) -> None:
    keep_secret(TOKEN)
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", out)
    guard()
    guard()
    print("printed", TOKEN)
    sys.stdout.buffer.write(f"bytes {TOKEN}\n".encode())
    logger = logging.Logger("test")
    logger.addHandler(logging.StreamHandler(sys.stderr))
    try:
        raise RuntimeError(f"the server said {TOKEN}")
    except RuntimeError:
        logger.exception("failed")
        traceback.print_exc()
    assert out.getvalue().count("[redacted]") == 4 and TOKEN not in out.getvalue()


def test_a_forked_process_can_print() -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as file:
        stream = Guarded(file)
        with vars(stream)["_lock"]:
            child = os.fork()
            if child == 0:
                stream.write("here\n")
                stream.flush()
                os._exit(0)
    os.waitpid(child, 0)
    with os.fdopen(reading) as file:
        assert file.read() == "here\n"
