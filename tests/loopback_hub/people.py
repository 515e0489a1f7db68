"""Who asks: users with their organisations, and tokens with a role and what it opens."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.loopback_hub.storage import git_name

READER_TOKEN = "hf_readerOfTheLoopbackHub"
WRITER_TOKEN = "hf_writerOfTheLoopbackHub"
LIMITED_TOKEN = "hf_limitedToNothingOfTheLoopbackHub"
EXPIRED_TOKEN = "hf_expiredOfTheLoopbackHub"

Right = Literal["see", "gated", "write", "create", "manage"]
"""To read what is private, what is gated, to commit, to make a repository, to change its settings or remove it."""

SEES, WRITES = "repo.content.read", "repo.write"
"""Permissions of a fine-grained token, as the Hub calls them."""
OAUTH: Mapping[Right, frozenset[str]] = {
    "see": frozenset({"read-repos", "write-repos", "manage-repos"}),
    "gated": frozenset({"gated-repos"}),
    "write": frozenset({"write-repos", "manage-repos"}),
    "create": frozenset({"contribute-repos", "manage-repos"}),
    "manage": frozenset({"manage-repos"}),
}
"""The scopes of a sign-in of which one gives a right; with `contribute-repos` all of what the app made is the app's."""


@dataclass(frozen=True)
class Scope:
    """What a fine-grained token may do with one user's or organisation's repositories, or with one repository."""

    name: str
    permissions: tuple[str, ...]
    type: str = "user"
    """user, org, model, dataset or space."""

    def covers(self, kind: str, owner: str, name: str) -> bool:
        """Whether a repository falls under it."""
        return (
            self.name == owner
            if self.type in ("user", "org")
            else (f"{self.type}s", self.name) == (kind, f"{owner}/{name}")
        )


@dataclass(frozen=True)
class Token:
    """One user's token."""

    user: str
    role: str = "read"
    """read, write, fineGrained, or oauth for one that a sign-in gave."""
    scoped: tuple[Scope, ...] = ()
    everywhere: tuple[str, ...] = ()
    """Permissions of a fine-grained token that hang on no repository, such as `inference.serverless.write`."""
    reads_gated: bool = False
    """Whether a fine-grained token may read what others have gated."""
    scopes: tuple[str, ...] = ()
    """What a signed-in user has let the app do, such as `contribute-repos`."""
    expired: bool = False

    @property
    def app(self) -> str:
        """By what its work is known: an app that was signed in to sees what it made itself."""
        return "oauth" if self.role == "oauth" else ""

    def opens(self, right: Right, kind: str, owner: str, name: str, made_by: str = "") -> bool:
        """Whether the token lets its user use a right that the user has."""
        if self.role == "write" or (self.role == "read" and right in ("see", "gated")):
            return True
        if self.role == "oauth":
            own = "contribute-repos" in self.scopes and bool(self.app) and made_by == self.app
            return own or bool(OAUTH[right] & {*self.scopes})
        if self.role != "fineGrained":
            return False
        wanted = SEES if right in ("see", "gated") else WRITES
        covering = [one for one in self.scoped if one.covers(kind, owner, name)]
        if right == "create":
            covering = [one for one in covering if one.type in ("user", "org")]
        return (right == "gated" and self.reads_gated) or any(wanted in one.permissions for one in covering)

    def told(self) -> dict[str, Any]:
        """What whoami says of it."""
        if self.role == "oauth":
            return {"type": "oauth", "expiresAt": "2999-01-01T00:00:00.000Z", "resource": {"sub": "the-space"}}
        told: dict[str, Any] = {"displayName": f"{self.user}-{self.role}", "role": self.role}
        told["createdAt"] = "2026-01-01T00:00:00.000Z"
        if self.role == "fineGrained":
            scoped = [
                {"entity": {"_id": git_name(one.name.encode())[:24], "type": one.type, "name": one.name}}
                | {"permissions": list(one.permissions)}
                for one in self.scoped
            ]
            told["fineGrained"] = {
                "canReadGatedRepos": self.reads_gated,
                "global": list(self.everywhere),
                "scoped": scoped,
            }
        return {"type": "access_token", "accessToken": told}


@dataclass
class User:
    """Somebody with an account."""

    orgs: dict[str, str] = field(default_factory=dict[str, str])
    """Organisations, and the role in each: read, contributor, write or admin."""
    pro: bool = False
    pays: bool = True
    """Whether the Hub knows how the user pays for hardware."""

    def may(self, right: Right, name: str, owner: str) -> bool:
        """Whether the user has a right to an owner's repositories."""
        role = "admin" if name == owner else self.orgs.get(owner, "")
        if right in ("see", "gated"):
            return bool(role)
        return role in (("admin", "write", "contributor") if right == "create" else ("admin", "write"))

    def told(self, name: str) -> dict[str, Any]:
        """What whoami says of the user."""
        orgs = [_entity(org, "org") | {"roleInOrg": role, "isEnterprise": False} for org, role in self.orgs.items()]
        return _entity(name, "user") | {"isPro": self.pro, "canPay": self.pays, "orgs": orgs}


def _entity(name: str, kind: str) -> dict[str, Any]:
    told = {"type": kind, "id": git_name(f"{kind} {name}".encode())[:24], "name": name, "fullname": name.title()}
    told |= {"email": f"{name}@hub.invalid", "emailVerified": True, "canPay": False, "periodEnd": None}
    return told | {"avatarUrl": ""}


TOKENS = {
    READER_TOKEN: Token("reader", "read"),
    WRITER_TOKEN: Token("me", "write"),
    LIMITED_TOKEN: Token("me", "fineGrained"),
    EXPIRED_TOKEN: Token("me", "write", expired=True),
}
"""The tokens that every new Hub knows."""
NOBODY = Token("", "")
