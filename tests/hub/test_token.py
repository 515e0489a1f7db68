"""What the Hub says of tokens, in the shapes that it says it in."""

from collections.abc import Mapping
from typing import Any

import pytest

from ftspace.hub.token import TokenRecord


def whoami(role: str | None = None, *scoped: tuple[str, str, list[str]], gated: bool = False) -> dict[str, Any]:
    """The answer for a token of mira's; without a role that of a sign-in."""
    auth: dict[str, Any] = {"type": "app_token_as_user", "expiresAt": "2030-01-01T00:00:00.000Z"}
    if role:
        access: dict[str, Any] = {"displayName": "laptop", "role": role, "createdAt": "2026-01-01T00:00:00.000Z"}
        if role == "fineGrained":
            entities = [{"entity": {"_id": "6", "type": k, "name": n}, "permissions": able} for k, n, able in scoped]
            access["fineGrained"] = {"canReadGatedRepos": gated, "global": ["post.write"], "scoped": entities}
        auth = {"type": "access_token", "accessToken": access}
    orgs = [
        {"type": "org", "id": "1", "name": "towns", "roleInOrg": "contributor", "isEnterprise": False},
        {"type": "org", "id": "2", "name": "library", "roleInOrg": "read", "isEnterprise": False},
    ]
    return {"type": "user", "id": "5", "name": "Mira", "isPro": False, "orgs": orgs, "auth": auth}


WRITE, READ = ["repo.content.read", "repo.write"], ["repo.content.read"]


@pytest.mark.parametrize(
    ("said", "scopes", "repo_id", "there", "why"),
    [
        (whoami("write"), None, "mira/x", False, ""),
        (whoami("write"), None, "towns/x", False, ""),
        (whoami("read"), None, "mira/x", True, "can only read"),
        (whoami("fineGrained", ("user", "Mira", WRITE)), None, "mira/x", False, ""),
        (whoami("fineGrained", ("user", "Mira", WRITE)), None, "towns/x", False, "no permission to make"),
        (whoami("fineGrained", ("org", "towns", WRITE)), None, "towns/x", False, ""),
        (whoami("fineGrained", ("user", "Mira", READ)), None, "mira/x", False, "no permission to make"),
        (whoami("fineGrained", ("model", "Mira/x", WRITE)), None, "Mira/x", True, ""),
        (whoami("fineGrained", ("model", "Mira/x", WRITE)), None, "Mira/x", False, "no permission to make"),
        (whoami("fineGrained", ("dataset", "Mira/x", WRITE)), None, "Mira/x", True, "no permission to write"),
        (whoami(), {"openid", "contribute-repos"}, "mira/x", False, ""),
        (whoami(), {"write-repos"}, "mira/x", True, ""),
        (whoami(), {"write-repos"}, "mira/x", False, "did not give the right to make"),
        (whoami(), {"openid", "profile", "read-repos"}, "mira/x", True, "did not give the right to write"),
        (whoami(), None, "mira/x", False, ""),
        ({"name": "Mira", "auth": None}, None, "mira/x", False, ""),
        ({"name": "Mira", "auth": {"accessToken": {"role": "fineGrained", "fineGrained": {"scoped": [7]}}}},
         None, "mira/x", False, "no permission to make"),
    ],
)  # fmt: skip
def test_a_token_writes_where_its_role_permissions_or_scopes_say(
    said: Mapping[str, Any], scopes: set[str] | None, repo_id: str, there: bool, why: str
) -> None:
    record = TokenRecord.of(said, frozenset(scopes) if scopes else None)
    found = record.why_not_write(repo_id, there=there)
    assert (why in found) if why else found == ""


@pytest.mark.parametrize(
    ("namespace", "why"),
    [("mira", ""), ("towns", ""), ("library", "may only read"), ("others", "is neither Mira nor an organization")],
)
def test_a_namespace_is_ones_own_or_that_of_an_organization_where_one_may_write(namespace: str, why: str) -> None:
    found = TokenRecord.of(whoami("write")).why_not_own(namespace)
    assert (why in found) if why else found == ""


def test_gated_repositories_and_providers_are_asked_with_a_permission_for_them() -> None:
    closed = TokenRecord.of(whoami("fineGrained"))
    opened = TokenRecord.of(whoami("fineGrained", ("user", "Mira", ["inference.serverless.write"]), gated=True))
    signed_in = TokenRecord.of(whoami(), frozenset({"inference-api", "gated-repos"}))
    assert closed.why_not_gated("towns/x") and closed.why_not_ask_models()
    for record in (opened, signed_in, TokenRecord.of(whoami("read"))):
        assert not record.why_not_gated("towns/x") and not record.why_not_ask_models()
    assert TokenRecord.of(whoami(), frozenset({"openid"})).why_not_ask_models()
    assert closed.words == "Mira's, fine-grained"
