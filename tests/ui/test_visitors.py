import asyncio
import inspect
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from gradio import oauth
from starlette.requests import Request

from ftspace.access import NOBODY, OWNER, Visitor
from ftspace.settings import Settings, read_settings
from ftspace.ui.app import build_app
from ftspace.ui.limits import MOST, OWNER_TIMES, RATES, Limits, TooOftenError
from ftspace.ui.visitors import SignIns, introduce, scopes_of, signed_in, token_of, visitor_of

SPACE = {
    "SYSTEM": "spaces",
    "SPACE_ID": "towns/ftspace",
    "OAUTH_CLIENT_ID": "id",
    "OAUTH_CLIENT_SECRET": "secret",
    "OAUTH_SCOPES": "openid",
    "OPENID_PROVIDER_URL": "https://hub.example",
}
PURE = {"pace", "_go_back", "_all_back", "_look", "<lambda>"}
"""Handlers that look at nothing but what they are sent."""


def said(name: object = "ann", **more: Any) -> dict[str, Any]:
    """What a provider says of somebody."""
    return {"access_token": "hf_x", "expires_at": 9e9, "userinfo": {"preferred_username": name, **more}}


def request(sign_ins: SignIns, session: dict[str, Any]) -> Request:
    scope: dict[str, Any] = {"type": "http", "session": session}
    introduce(scope, sign_ins.of(session))
    return Request(scope)


def settings(folder: Path, **environ: str) -> Settings:
    return read_settings(folder, environ=environ)


def test_every_handler_is_told_who_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SPACE.items():
        if hasattr(oauth, name):  # read when it was imported
            monkeypatch.setattr(oauth, name, value)
        else:
            monkeypatch.setenv(name, value)

    async def built() -> gr.Blocks:  # where no loop is running Gradio makes one, and leaves it open
        return build_app(settings(tmp_path, **SPACE, FTSPACE_WARM="0")).blocks

    page = asyncio.run(built())
    handlers = [one.fn for one in page.fns.values() if one.fn is not None]
    untold = {
        fn.__name__
        for fn in handlers
        if gr.Request not in [one.annotation for one in inspect.signature(fn).parameters.values()]
    }
    assert len(handlers) > 30 and untold - {"_check_login_status"} == PURE


@pytest.mark.parametrize(
    ("users", "info", "expected"),
    [
        ("ann", said(), Visitor("ann", may_start=True)),
        ("Ann, ben", said(), Visitor("ann", may_start=True)),
        ("*", said(), Visitor("ann", may_start=True)),
        ("ben", said(), Visitor("ann", may_start=False)),
        ("", said(), Visitor("ann", may_start=False)),
        ("town", said(orgs=[{"preferred_username": "town"}]), Visitor("ann", may_start=True)),
        ("town", said(town="town", orgs="town"), Visitor("ann", may_start=False)),
        ("*", said("@local"), NOBODY),
        ("*", said("../ann"), NOBODY),
        ("*", said(""), NOBODY),
        ("*", said(None), NOBODY),
        ("*", said() | {"access_token": ""}, NOBODY),
        ("*", said() | {"expires_at": 1.0}, NOBODY),
        ("*", {"userinfo": "ann"}, NOBODY),
        ("*", "ann", NOBODY),
    ],
)
def test_who_signed_in_is_who_the_provider_says(tmp_path: Path, users: str, info: Any, expected: Visitor) -> None:
    sign_ins, session = SignIns(), {"oauth_info": info}
    sign_ins.take_in(session)
    asked = request(sign_ins, session)
    assert visitor_of(asked, settings(tmp_path, **SPACE, FTSPACE_USERS=users)) == expected
    assert token_of(asked) == ("hf_x" if expected.name else None)
    assert "hf_x" not in str(session) and "hf_x" not in repr(signed_in(asked))


def test_a_key_opens_nothing_once_its_owner_signed_out_or_elsewhere(tmp_path: Path) -> None:
    sign_ins, session = SignIns(), {"oauth_info": said()}
    sign_ins.take_in(session)
    sign_ins.take_in(session)  # a second way back from the provider that brought nothing
    kept = dict(session)
    space = settings(tmp_path, **SPACE, FTSPACE_USERS="*")
    assert visitor_of(request(sign_ins, session), space).name == "ann"
    assert visitor_of(request(SignIns(), dict(kept)), space) == NOBODY
    sign_ins.end(session)
    assert session == {} and visitor_of(request(sign_ins, dict(kept)), space) == NOBODY
    assert visitor_of(Request({"type": "http", "session": kept}), space) == NOBODY


def test_without_sign_in_no_profile_is_heeded(tmp_path: Path) -> None:
    session = {"oauth_info": said("ben")}
    for lacking in ("", "SYSTEM", "OAUTH_CLIENT_SECRET", "OAUTH_CLIENT_ID", "SPACE_ID"):
        environ = {name: value for name, value in SPACE.items() if lacking and name != lacking}
        found = settings(tmp_path, **environ)
        assert not found.sign_in and visitor_of(Request({"type": "http", "session": session}), found) == OWNER


@pytest.mark.parametrize(
    ("environ", "share", "opens"),
    [
        ({}, False, True),
        ({}, True, False),
        ({"FTSPACE_PASSWORD": "x"}, True, True),
        ({"FTSPACE_HOST": "localhost"}, False, True),
        ({"FTSPACE_HOST": "::1"}, False, True),
        ({"FTSPACE_HOST": "0.0.0.0"}, False, False),
        ({"FTSPACE_HOST": "::"}, False, False),
        ({"FTSPACE_HOST": "192.168.0.7"}, False, False),
        ({"FTSPACE_HOST": "my-machine"}, False, False),
        ({"FTSPACE_HOST": "0.0.0.0", "FTSPACE_PASSWORD": "x"}, False, True),
        ({"SPACE_ID": "towns/ftspace"}, False, False),
        ({"SPACE_ID": "towns/ftspace", "FTSPACE_HOST": "127.0.0.1"}, False, False),
        ({"SPACE_ID": "towns/ftspace", "OAUTH_CLIENT_ID": "id"}, False, False),
        ({"SPACE_ID": "towns/ftspace", "FTSPACE_PASSWORD": "x"}, False, True),
        (SPACE, False, True),
        (SPACE, True, False),
    ],
)
def test_an_app_that_others_reach_asks_who_they_are(
    tmp_path: Path, environ: dict[str, str], share: bool, opens: bool
) -> None:
    assert (settings(tmp_path, **environ).why_not_open(share=share) is None) == opens


def test_too_much_is_refused_until_it_is_not() -> None:
    now = 0.0
    limits = Limits(lambda: now)
    rate = RATES["start"]
    for _ in range(rate.burst):
        limits.take("start", "ann")
    with pytest.raises(TooOftenError, match=r"^too many runs started; again in 120 s$"):
        limits.take("start", "ann")
    limits.take("start", "ben")
    limits.take("ask", "ann")
    now = rate.seconds
    limits.take("start", "ann")
    with pytest.raises(TooOftenError):
        limits.take("start", "ann")
    for _ in range(rate.burst * OWNER_TIMES):
        limits.take("start", "@local", OWNER_TIMES)
    for number in range(MOST):
        limits.take("look", f"visitor {number}")
    limits.take("start", "ann")  # long forgotten


@pytest.mark.parametrize(
    ("scope", "found"),
    [("openid contribute-repos", {"openid", "contribute-repos"}), ("", None), (None, None), (["openid"], None)],
)
def test_what_a_sign_in_gave_the_right_to_is_known_where_the_provider_says_it(
    scope: object, found: set[str] | None
) -> None:
    sign_ins, session = SignIns(), {"oauth_info": said() | {"scope": scope}}
    sign_ins.take_in(session)
    asked = request(sign_ins, session)
    assert scopes_of(asked) == found and "scope" not in session["oauth_info"]
