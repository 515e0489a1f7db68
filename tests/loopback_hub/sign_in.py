"""Signing in with the Hub: the OpenID provider that a Space talks to.

Who opens its page chooses a user there, or names one in the address (`&user=NAME`), which is as good as a click. The
access token opens at the Hub what the scopes say that the app asked for.
"""

import html
import secrets
import time
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from tests.loopback_hub.answers import Refused
from tests.loopback_hub.desk import NAME, Desk
from tests.loopback_hub.people import Token

if TYPE_CHECKING:
    from joserfc.jwk import RSAKey

CLIENT_ID = "the-space"
CLIENT_SECRET = "secret-of-the-loopback-space"
SCOPES = "openid profile read-repos gated-repos contribute-repos"
SECONDS = 8 * 3600


def environment(address: str, scopes: str = SCOPES, space: str = "towns/ftspace") -> dict[str, str]:
    """What a Space with OAuth has in its environment, with the Hub at an address."""
    return {
        "SYSTEM": "spaces",
        "SPACE_ID": space,
        "OAUTH_CLIENT_ID": CLIENT_ID,
        "OAUTH_CLIENT_SECRET": CLIENT_SECRET,
        "OAUTH_SCOPES": scopes,
        "OPENID_PROVIDER_URL": address,
    }


@dataclass(frozen=True)
class _Grant:
    user: str
    nonce: str
    scopes: str
    redirect: str


class SignIn:
    """The room of sign-ins. Access tokens are `hf_oauth_NAME`, so that they can be told apart where they turn up."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._grants: dict[str, _Grant] = {}

    @cached_property
    def _key(self) -> "RSAKey":
        from joserfc.jwk import RSAKey

        return RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})

    def routes(self) -> list[Route]:
        """What it answers."""
        return [
            Route("/.well-known/openid-configuration", self._discovery),
            Route("/oauth/authorize", self._authorize),
            Route("/oauth/token", self._token, methods=["POST"]),
            Route("/oauth/userinfo", self._userinfo),
            Route("/oauth/jwks", self._jwks),
        ]

    async def _discovery(self, request: Request) -> Response:
        here = str(request.base_url).rstrip("/")
        return JSONResponse(
            {
                "issuer": here,
                "authorization_endpoint": f"{here}/oauth/authorize",
                "token_endpoint": f"{here}/oauth/token",
                "userinfo_endpoint": f"{here}/oauth/userinfo",
                "jwks_uri": f"{here}/oauth/jwks",
                "id_token_signing_alg_values_supported": ["RS256"],
            }
        )

    async def _authorize(self, request: Request) -> Response:
        asked = request.query_params
        if asked["client_id"] != CLIENT_ID:
            raise Refused(400, "", "invalid_client: there is no such app")
        if "user" not in asked:
            return HTMLResponse(self._page(asked))
        if not NAME.fullmatch(asked["user"]):
            raise Refused(400, "", "That is no name of a user")
        code = secrets.token_urlsafe(16)
        self._grants[code] = _Grant(
            asked["user"], asked.get("nonce", ""), asked.get("scope", ""), asked["redirect_uri"]
        )
        joined = "&" if "?" in asked["redirect_uri"] else "?"
        return RedirectResponse(f"{asked['redirect_uri']}{joined}{urlencode({'code': code, 'state': asked['state']})}")

    def _page(self, asked: Mapping[str, str]) -> str:
        """Asks who it is that signs in."""
        hidden = '<input type="hidden" name="{}" value="{}">'
        kept = "".join(hidden.format(html.escape(name), html.escape(value)) for name, value in asked.items())
        users = sorted({token.user for token in self._desk.tokens.values()} | {*self._desk.users})
        options = "".join(f"<option>{html.escape(user)}</option>" for user in users)
        scopes = "".join(f"<li>{html.escape(scope)}</li>" for scope in asked.get("scope", "").split())
        return (
            "<!doctype html><title>Sign in</title><h1>Sign in with the loopback Hub</h1>"
            f"<p>The app asks for:</p><ul>{scopes}</ul><form>{kept}"
            f'<label>As <input name="user" list="users" required autofocus></label><datalist id="users">{options}'
            "</datalist> <button>Authorize</button></form>"
        )

    async def _token(self, request: Request) -> Response:
        from joserfc import jwt

        form = await request.form()
        basic = request.headers.get("authorization", "").removeprefix("Basic ")
        said = b64decode(basic).decode() if basic else f"{form.get('client_id')}:{form.get('client_secret')}"
        if said != f"{CLIENT_ID}:{CLIENT_SECRET}":
            return JSONResponse({"error": "invalid_client"}, 401)
        grant = self._grants.pop(str(form.get("code")), None)
        if grant is None or form.get("redirect_uri", grant.redirect) != grant.redirect:
            return JSONResponse({"error": "invalid_grant"}, 400)
        now, access = int(time.time()), f"hf_oauth_{grant.user}"
        self._desk.tokens[access] = Token(grant.user, "oauth", scopes=tuple(grant.scopes.split()))
        claims = self._claims(str(request.base_url).rstrip("/"), grant.user)
        claims |= {"aud": CLIENT_ID, "iat": now, "exp": now + SECONDS, "nonce": grant.nonce}
        told: dict[str, Any] = {"access_token": access, "token_type": "bearer", "expires_in": SECONDS}
        told |= {"scope": grant.scopes, "id_token": jwt.encode({"alg": "RS256", "kid": "one"}, claims, self._key)}
        return JSONResponse(told)

    def _claims(self, here: str, user: str) -> dict[str, Any]:
        told = {"iss": here, "sub": f"id-of-{user}", "name": user.title(), "preferred_username": user}
        return told | {"profile": f"{here}/{user}", "picture": "", "isPro": False, "orgs": []}

    async def _userinfo(self, request: Request) -> Response:
        return JSONResponse(self._claims(str(request.base_url).rstrip("/"), self._desk.user(request).user))

    async def _jwks(self, request: Request) -> Response:
        return JSONResponse({"keys": [self._key.as_dict(private=False)]})
