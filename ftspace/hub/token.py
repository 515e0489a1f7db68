"""Whose token the Hub is asked with, and what it opens: the answer to whoami as a frozen record. Knows no run.

A token says of itself what it may do in one of three ways: by a role (read, write), by permissions for namespaces and
repositories (fineGrained), or, where somebody signed in with OAuth, not at all: then the scopes that the sign-in gave
say it. The Hub counts such questions strictly, so each asker's answer is kept for a minute.
"""

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Literal, cast

from evals.errors import one_line
from ftspace.hub.asker import hub_scopes, hub_token

TIMEOUT_SECONDS = 5.0
KEPT_SECONDS = 60.0
_MOST = 1000
Trouble = Literal["", "none", "refused", "offline", "unreachable"]
_WRITES = ("repo.write", "repo.content.write")
_WRITE_ROLES = ("write", "admin", "contributor", "god")
_CREATE_SCOPES = ("contribute-repos", "manage-repos")


@dataclass(frozen=True)
class Grant:
    """What a fine-grained token may do with one thing."""

    kind: str
    """user or org for a namespace; model, dataset or space for one repository; global for what is none's."""
    name: str
    permissions: frozenset[str]


@dataclass(frozen=True)
class TokenRecord:
    """What the Hub says of a token; the token itself is not in it."""

    name: str
    """Whose it is."""
    role: str
    """read, write, fineGrained, or oauth for a sign-in's; another word where the Hub knows more of them."""
    orgs: Mapping[str, str] = field(default_factory=dict[str, str])
    """The organizations of its owner, each with the owner's role there."""
    gated: bool = True
    """Whether it opens gated repositories that its owner was let into."""
    grants: tuple[Grant, ...] = ()
    scopes: frozenset[str] | None = None
    """Those of a sign-in; None where they are not known."""

    @classmethod
    def of(cls, said: Mapping[str, Any], scopes: frozenset[str] | None = None) -> "TokenRecord":
        """The record of what whoami answers; what is missing there or malformed grants nothing."""
        access = _mapping(_mapping(said.get("auth")).get("accessToken"))
        role = str(access.get("role") or ("oauth" if not access else "unknown"))
        fine = _mapping(access.get("fineGrained"))
        grants = [Grant("global", "", _words(fine.get("global")))]
        for one in _mappings(fine.get("scoped")):
            entity = _mapping(one.get("entity"))
            grants.append(
                Grant(str(entity.get("type", "")), str(entity.get("name", "")), _words(one.get("permissions")))
            )
        return cls(
            name=str(said.get("name") or ""),
            role=role,
            orgs={str(one.get("name")): str(one.get("roleInOrg") or "") for one in _mappings(said.get("orgs"))},
            gated=fine.get("canReadGatedRepos") is True if role == "fineGrained" else _opens_gated(role, scopes),
            grants=tuple(grants),
            scopes=scopes if role == "oauth" else None,
        )

    @property
    def words(self) -> str:
        """Whose, and of what kind."""
        kind = {"fineGrained": "fine-grained", "oauth": "by sign-in"}.get(self.role, f"role {self.role}")
        return f"{self.name}'s, {kind}"

    def why_not_own(self, namespace: str) -> str:
        """Why its owner may make no repository of this namespace, whatever the token; "" when that may be."""
        if _same(namespace, self.name):
            return ""
        role = next((role for org, role in self.orgs.items() if _same(org, namespace)), None)
        if role is None:
            return f"{namespace} is neither {self.name} nor an organization of {self.name}'s that this token may see"
        if role and role not in _WRITE_ROLES:
            return f"{self.name} may only read in the organization {namespace}"
        return ""

    def why_not_write(self, repo_id: str, *, there: bool, kind: str = "model") -> str:
        """Why it cannot write a repository, or make it where it is not `there` yet; "" when it can, as far as said."""
        namespace = repo_id.partition("/")[0]
        if self.role == "read":
            return "the token can only read"
        if self.role == "fineGrained":
            whole = any(one.kind in ("user", "org") and _same(one.name, namespace) and _can(one) for one in self.grants)
            this = any(one.kind == kind and _same(one.name, repo_id) and _can(one) for one in self.grants)
            if whole or (this and there):
                return ""
            asked = f"write {repo_id}" if there else f"make repositories of {namespace}"
            return f"the fine-grained token has no permission to {asked}"
        if self.role == "oauth" and self.scopes is not None:
            enough = (*_CREATE_SCOPES, "write-repos") if there else _CREATE_SCOPES
            if not self.scopes.intersection(enough):
                return f"the sign-in did not give the right to {'write' if there else 'make'} repositories"
        return ""

    def why_not_jobs(self) -> str:
        """Why it cannot run jobs of the Hub; "" when it can, as far as said."""
        if self.role == "read":
            return "the token can only read, and a job is run with one of the role write"
        if self.role == "fineGrained":
            able = any(name.startswith("job") for one in self.grants for name in one.permissions)
            return "" if able else "the fine-grained token has no permission to run jobs"
        if self.role == "oauth" and self.scopes is not None and "jobs" not in self.scopes:
            return "the sign-in did not give the right to run jobs"
        return ""

    def why_not_gated(self, repo_id: str, kind: str = "model") -> str:
        """Why it opens no gated repository, though its owner may have access; "" when it can."""
        if self.gated or any(_same(one.name, repo_id) and one.kind == kind for one in self.grants):
            return ""
        if self.role == "oauth":
            return "the sign-in did not give the right to read gated repositories"
        return "the fine-grained token has no permission to read gated repositories"

    def why_not_ask_models(self) -> str:
        """Why it cannot ask Inference Providers; "" when it can, as far as said."""
        if self.role == "fineGrained":
            able = any("inference.serverless.write" in one.permissions for one in self.grants)
            return "" if able else "the fine-grained token has no permission to ask Inference Providers"
        if self.role == "oauth" and self.scopes is not None and "inference-api" not in self.scopes:
            return "the sign-in did not give the right to ask Inference Providers"
        return ""


@dataclass(frozen=True)
class Asked:
    """What came of asking: a record, or why there is none."""

    record: TokenRecord | None = None
    trouble: Trouble = ""
    detail: str = ""


_kept: dict[str, tuple[float, Asked]] = {}
_lock = Lock()


def ask_token(token: str | None = None) -> Asked:
    """What the Hub says of a token: `token`, else the asker's, else this machine's. Never raises."""
    from huggingface_hub import constants, get_token

    scopes = hub_scopes() if token is None else None
    token = token or hub_token() or get_token()
    if constants.HF_HUB_OFFLINE:
        return Asked(trouble="offline", detail="the Hub is not asked while offline")
    if not token:
        return Asked(trouble="none", detail="there is no token")
    key = hashlib.sha256(f"{constants.ENDPOINT} {token} {sorted(scopes or ())}".encode()).hexdigest()
    now = time.monotonic()
    with _lock:
        known = _kept.get(key)
    if known and now - known[0] < KEPT_SECONDS:
        return known[1]
    found = _ask(token, scopes)
    if found.trouble != "unreachable":
        with _lock:
            while len(_kept) >= _MOST:
                _kept.pop(next(iter(_kept)))
            _kept[key] = (now, found)
    return found


def _ask(token: str, scopes: frozenset[str] | None) -> Asked:
    from httpx2 import HTTPError
    from huggingface_hub import constants
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled
    from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

    address = f"{constants.ENDPOINT}/api/whoami-v2"
    try:
        answer = get_session().get(address, headers=build_hf_headers(token=token), timeout=TIMEOUT_SECONDS)
        hf_raise_for_status(answer)
        said = answer.json()
    except OfflineModeIsEnabled:
        return Asked(trouble="offline", detail="the Hub is not asked while offline")
    except HfHubHTTPError as error:
        status = error.response.status_code
        if status in (401, 403):
            return Asked(trouble="refused", detail=f"the Hub refuses the token (status {status})")
        return Asked(trouble="unreachable", detail=f"the Hub does not say whose token this is (status {status})")
    except (HTTPError, OSError, ValueError) as error:
        return Asked(trouble="unreachable", detail=f"the Hub ({constants.ENDPOINT}) cannot be asked: {one_line(error)}")
    return Asked(TokenRecord.of(_mapping(said), scopes))


def _opens_gated(role: str, scopes: frozenset[str] | None) -> bool:
    return role != "oauth" or scopes is None or "gated-repos" in scopes


def _can(grant: Grant) -> bool:
    return not grant.permissions.isdisjoint(_WRITES)


def _same(one: str, other: str) -> bool:
    return one.casefold() == other.casefold()


def _words(value: Any) -> frozenset[str]:
    return frozenset(map(str, cast("list[Any]", value))) if isinstance(value, list) else frozenset()


def _mapping(value: Any) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [_mapping(one) for one in cast("list[Any]", value)] if isinstance(value, list) else []
