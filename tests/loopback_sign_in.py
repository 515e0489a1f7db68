"""A sign-in on this machine: the OpenID provider that a Space talks to, for the unmodified client. Needs no network.

Who opens its page signs in by naming a user in the address (`&user=NAME`), as a person does by clicking. Serve it with
`loopback_hub.serve`; ENVIRONMENT and the address make a Space with OAuth of an app.
"""

import secrets
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

CLIENT_ID = "the-space"
CLIENT_SECRET = "secret-of-the-loopback-space"


def environment(address: str) -> dict[str, str]:
    """What a Space with OAuth has in its environment, with the provider at an address."""
    return {
        "SYSTEM": "spaces",
        "SPACE_ID": "towns/ftspace",
        "OAUTH_CLIENT_ID": CLIENT_ID,
        "OAUTH_CLIENT_SECRET": CLIENT_SECRET,
        "OAUTH_SCOPES": "openid profile read-repos",
        "OPENID_PROVIDER_URL": address,
    }


@dataclass(frozen=True)
class _Grant:
    user: str
    nonce: str


class LoopbackSignIn:
    """The ASGI app. Its access tokens are `hf_oauth_NAME`, so that they can be told apart where they turn up."""

    def __init__(self) -> None:
        self._key = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})
        self._grants: dict[str, _Grant] = {}
        self._routes = Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self._discovery),
                Route("/authorize", self._authorize),
                Route("/token", self._token, methods=["POST"]),
                Route("/jwks", self._jwks),
            ]
        )

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        await self._routes(scope, receive, send)

    async def _discovery(self, request: Request) -> Response:
        here = str(request.base_url).rstrip("/")
        return JSONResponse(
            {
                "issuer": here,
                "authorization_endpoint": f"{here}/authorize",
                "token_endpoint": f"{here}/token",
                "jwks_uri": f"{here}/jwks",
                "id_token_signing_alg_values_supported": ["RS256"],
            }
        )

    async def _authorize(self, request: Request) -> Response:
        asked = request.query_params
        code = secrets.token_urlsafe(16)
        self._grants[code] = _Grant(asked["user"], asked["nonce"])
        joined = "&" if "?" in asked["redirect_uri"] else "?"
        return RedirectResponse(f"{asked['redirect_uri']}{joined}{urlencode({'code': code, 'state': asked['state']})}")

    async def _token(self, request: Request) -> Response:
        form = await request.form()
        grant = self._grants.pop(str(form.get("code")), None)
        if grant is None:
            return JSONResponse({"error": "invalid_grant"}, 400)
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": str(request.base_url).rstrip("/"),
            "sub": f"id-of-{grant.user}",
            "aud": CLIENT_ID,
            "iat": now,
            "exp": now + 3600,
            "nonce": grant.nonce,
            "name": grant.user.title(),
            "preferred_username": grant.user,
            "profile": f"https://huggingface.co/{grant.user}",
            "picture": "",
        }
        signed = jwt.encode({"alg": "RS256", "kid": "one"}, claims, self._key)
        return JSONResponse(
            {
                "access_token": f"hf_oauth_{grant.user}",
                "token_type": "bearer",
                "expires_in": 3600,
                "scope": "openid profile read-repos",
                "id_token": signed,
            }
        )

    async def _jwks(self, request: Request) -> Response:
        return JSONResponse({"keys": [self._key.as_dict(private=False)]})
