"""Who stands behind a request. Knows Gradio's requests and Starlette's, and nothing of runs.

With sign-in, name and token of everybody who signed in lie in this process's memory; the browser holds a key to them,
in Gradio's signed cookie. So no token is stored outside of it, signing out ends a sign-in for good, and a cookie
that somebody could sign would still open nothing. A restart of the app signs everybody out.
"""

import inspect
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from typing import Any

import gradio as gr
from starlette.requests import HTTPConnection, Request

from ftspace.access import NOBODY, OWNER, Visitor
from ftspace.redact import keep_secret
from ftspace.settings import Settings

_OAUTH = "oauth_info"
"""Where Gradio keeps what the provider said, in the session that its cookie holds."""
_SCOPE = "ftspace.signed_in"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
_MOST = 10_000
_SECONDS = 8 * 3600.0
"""How long a sign-in holds that says nothing of it."""


@dataclass(frozen=True)
class SignedIn:
    """Somebody who signed in."""

    name: str
    orgs: frozenset[str]
    token: str = field(repr=False)
    until: float
    """Unix time."""
    scopes: frozenset[str] | None = None
    """What the sign-in gave the app the right to, where the provider says it."""


class SignIns:
    """Everybody who is signed in to this app, by the key that the browser holds."""

    def __init__(self) -> None:
        """Nobody is."""
        self._known: OrderedDict[str, SignedIn] = OrderedDict()

    def take_in(self, session: MutableMapping[str, Any]) -> None:
        """Takes what the provider has just said out of a session, and leaves a key and the name in its place."""
        said = session.get(_OAUTH)
        if isinstance(said, dict) and "key" in said:  # the provider said nothing new
            return
        found = _signed_in(said) if isinstance(said, dict) else None
        if found is None:
            session.pop(_OAUTH, None)
            return
        keep_secret(found.token)
        key = secrets.token_urlsafe(32)
        self._known[key] = found
        while len(self._known) > _MOST:
            self._known.popitem(last=False)
        session[_OAUTH] = {"key": key, "expires_at": found.until, "userinfo": {"preferred_username": found.name}}

    def of(self, session: MutableMapping[str, Any]) -> SignedIn | None:
        """Who signed in with a session's key; None, and the session emptied, where nobody did or too long ago."""
        said = session.get(_OAUTH)
        key = said.get("key") if isinstance(said, dict) else None
        found = self._known.get(key) if isinstance(key, str) else None
        if found is not None and found.until > time.time():
            return found
        if said is not None:
            self.end(session)
        return None

    def end(self, session: MutableMapping[str, Any]) -> None:
        """Ends a session's sign-in."""
        said = session.pop(_OAUTH, None)
        if isinstance(said, dict):
            self._known.pop(str(said.get("key")), None)


def _signed_in(said: dict[str, Any]) -> SignedIn | None:
    """What a provider says of somebody; None when it lacks a name that can be one, or the token."""
    user, token = said.get("userinfo"), said.get("access_token")
    name = user.get("preferred_username") if isinstance(user, dict) else None
    if not isinstance(user, dict) or not isinstance(name, str) or not _NAME.fullmatch(name):
        return None
    if not isinstance(token, str) or not token:
        return None
    orgs = [one.get("preferred_username") or one.get("name") for one in user.get("orgs") or () if isinstance(one, dict)]
    until = said.get("expires_at")
    until = float(until) if isinstance(until, int | float) else time.time() + _SECONDS
    scope = said.get("scope")
    scopes = frozenset(scope.split()) if isinstance(scope, str) and scope.strip() else None
    return SignedIn(name, frozenset(one for one in orgs if isinstance(one, str)), token, until, scopes)


def introduce(scope: MutableMapping[str, Any], found: SignedIn | None) -> None:
    """Writes down in a request who sent it. What a client sends cannot get there."""
    scope[_SCOPE] = found


def signed_in(request: gr.Request | HTTPConnection) -> SignedIn | None:
    """Who sent a request, if it is somebody who signed in and still is."""
    inner = request if isinstance(request, HTTPConnection) else request.request
    found = inner.scope.get(_SCOPE) if isinstance(inner, HTTPConnection) else None
    return found if isinstance(found, SignedIn) and found.until > time.time() else None


def visitor_of(request: gr.Request | Request, settings: Settings) -> Visitor:
    """The visitor who sent a request; where nobody signs in it is the owner, be it by password."""
    if not settings.sign_in:
        return OWNER
    found = signed_in(request)
    if found is None:
        return NOBODY
    users = {name.casefold() for name in settings.users}
    asked = {name.casefold() for name in (found.name, *found.orgs)}
    return Visitor(found.name, may_start="*" in users or bool(users & asked))


def token_of(request: gr.Request | Request) -> str | None:
    """The Hub token of somebody who signed in; None for everybody else."""
    found = signed_in(request)
    return found.token if found else None


def scopes_of(request: gr.Request | Request) -> frozenset[str] | None:
    """What the sign-in behind a request gave the right to; None where nobody signed in, or it did not say."""
    found = signed_in(request)
    return found.scopes if found else None


async def knows_password(request: Request) -> bool:
    """Whether the page's own routes would answer the request: see `get_current_user` in gradio/routes.py."""
    app: Any = request.app
    if app.auth_dependency is not None:
        user = app.auth_dependency(request)
        return (await user if inspect.isawaitable(user) else user) is not None
    if app.auth is None:
        return True
    names = (f"access-token-{app.cookie_id}", f"access-token-unsecure-{app.cookie_id}")
    return any(app.tokens.get(request.cookies.get(name)) is not None for name in names)
