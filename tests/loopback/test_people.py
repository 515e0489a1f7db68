"""Whose token opens what on the loopback Hub, and what it refuses."""

from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError

from tests.loopback_hub import EXPIRED_TOKEN, READER_TOKEN, LoopbackHub, Scope, Token, User
from tests.loopback_hub.people import SEES, WRITES

# huggingface_hub 2.4 hands large files to httpx2 under a name that httpx2 is giving up.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>':DeprecationWarning")

BY_READER = {"authorization": f"Bearer {READER_TOKEN}"}
FINE = {"user": (Scope("me", (SEES, WRITES)),), "repo": (Scope("me/model", (SEES, WRITES), "model"),)}
MAY: list[tuple[str, Token, set[str]]] = [
    ("nobody", Token("", ""), set()),
    ("stranger", Token("reader", "write"), set()),
    ("read", Token("me", "read"), {"see"}),
    ("write", Token("me", "write"), {"see", "write", "create", "delete"}),
    ("org reader", Token("guest", "write"), {"see"}),
    ("org writer", Token("mate", "write"), {"see", "write", "create", "delete"}),
    ("limited", Token("me", "fineGrained"), set()),
    ("fine, all", Token("me", "fineGrained", FINE["user"]), {"see", "write", "create", "delete"}),
    ("fine, one", Token("me", "fineGrained", FINE["repo"]), {"see", "write", "delete"}),
    ("fine, reads", Token("me", "fineGrained", (Scope("me", (SEES,)),)), {"see"}),
    ("signed in", Token("me", "oauth", scopes=("openid", "profile")), set()),
    ("signed in to read", Token("me", "oauth", scopes=("read-repos",)), {"see"}),
    ("signed in to contribute", Token("me", "oauth", scopes=("contribute-repos",)), {"create"}),
    ("signed in to write", Token("me", "oauth", scopes=("write-repos",)), {"see", "write"}),
    ("signed in to manage", Token("me", "oauth", scopes=("manage-repos",)), {"see", "write", "create", "delete"}),
]


def done(work: Callable[[], object]) -> bool:
    try:
        work()
    except HfHubHTTPError:
        return False
    return True


def test_a_token_opens_what_its_user_and_its_role_allow(hub: LoopbackHub) -> None:
    hub.users["guest"], hub.users["mate"] = User({"me": "read"}), User({"me": "write"})
    HfApi().create_repo("me/model", private=True)
    for name, token, rights in MAY:
        said = f"hf_{name}" if token.user else False
        hub.tokens[str(said)] = token
        api = HfApi(token=said)
        tries: dict[str, Callable[[], object]] = {
            "see": lambda api=api: api.model_info("me/model"),
            "write": lambda api=api, name=name: api.upload_file(
                repo_id="me/model", path_in_repo="a.txt", path_or_fileobj=name.encode()
            ),
            "create": lambda api=api: api.create_repo("me/other"),
            "delete": lambda api=api: api.delete_repo("me/model"),
        }
        assert {what for what, work in tries.items() if done(work)} == rights, name
        HfApi().create_repo("me/model", private=True, exist_ok=True)
        HfApi().delete_repo("me/other", missing_ok=True)
    signed_in = HfApi(token="hf_signed in to contribute")
    signed_in.create_repo("me/new", private=True)
    assert done(lambda: signed_in.upload_file(repo_id="me/new", path_in_repo="a", path_or_fileobj=b"a"))
    assert done(lambda: signed_in.delete_repo("me/new"))


def test_whoami_tells_what_a_token_may_do(hub: LoopbackHub) -> None:
    hub.users["me"] = User({"acme": "write"})
    hub.tokens["hf_fine"] = Token("me", "fineGrained", FINE["repo"], ("inference.serverless.write",), reads_gated=True)
    hub.tokens["hf_in"] = Token("me", "oauth", scopes=("openid",))
    api = HfApi()
    me = api.whoami()
    assert (me["name"], me["auth"]["accessToken"]["role"], me["type"]) == ("me", "write", "user")
    assert [(org["name"], org["roleInOrg"]) for org in me["orgs"]] == [("acme", "write")]
    fine = api.whoami("hf_fine")["auth"]["accessToken"]["fineGrained"]
    assert fine["canReadGatedRepos"] is True and fine["global"] == ["inference.serverless.write"]
    assert [(one["entity"]["type"], one["entity"]["name"], one["permissions"]) for one in fine["scoped"]] == [
        ("model", "me/model", [SEES, WRITES])
    ]
    assert api.whoami("hf_in")["auth"]["type"] == "oauth"
    for token in ("hf_nobodys", EXPIRED_TOKEN):
        with pytest.raises(HfHubHTTPError, match="Invalid user token") as caught:
            api.whoami(token)
        assert caught.value.response.status_code == 401
        with pytest.raises(HfHubHTTPError) as caught:
            HfApi(token=token).create_repo("me/model")
        assert caught.value.response.status_code == 401
    assert api.get_user_overview("me").username == "me"


def test_what_is_gated_is_read_by_whom_its_owner_lets_in(hub: LoopbackHub) -> None:
    owner, reader = HfApi(), HfApi(token=READER_TOKEN)
    owner.create_repo("me/model")
    owner.upload_file(repo_id="me/model", path_in_repo="a.txt", path_or_fileobj=b"secret")
    owner.update_repo_settings("me/model", gated="manual")

    def reads(api: HfApi) -> str:
        try:
            api.auth_check("me/model")
            return Path(api.hf_hub_download("me/model", "a.txt", force_download=True)).read_text()
        except GatedRepoError as error:
            return str(error)

    def ask() -> None:
        url = f"{owner.endpoint}/me/model/ask-access"
        httpx2.post(url, headers=BY_READER).raise_for_status()

    assert reader.model_info("me/model").gated == "manual", "everybody may know of it"
    assert reads(owner) == "secret" and "not in the authorized list. Visit" in reads(reader)
    assert "Please log in" in reads(HfApi(token=False))
    ask()
    assert "awaiting a review" in reads(reader)
    (waiting,) = owner.list_pending_access_requests("me/model")
    assert waiting.username == "reader" and waiting.request_id
    owner.accept_access_request("me/model", request_id=waiting.request_id)
    assert reads(reader) == "secret" and not list(owner.list_pending_access_requests("me/model"))
    hub.tokens["hf_fine"] = Token("reader", "fineGrained")
    with pytest.raises(HfHubHTTPError, match="enable access to public gated repositories"):
        reads(HfApi(token="hf_fine"))
    owner.reject_access_request("me/model", "reader", rejection_reason=None)
    assert "has been rejected" in reads(reader)
    owner.grant_access("me/model", "reader")
    assert reads(reader) == "secret"
    owner.create_repo("me/auto")
    owner.update_repo_settings("me/auto", gated="auto")
    assert not done(lambda: reader.auth_check("me/auto"))
    httpx2.post(f"{owner.endpoint}/me/auto/ask-access", headers=BY_READER)
    assert done(lambda: reader.auth_check("me/auto"))


def test_a_full_quota_and_a_wrong_card_are_refused(hub: LoopbackHub) -> None:
    api = HfApi()
    hub.quotas["me"] = 10_000
    api.create_repo("me/model", private=True)

    def push(size: int) -> object:
        return api.upload_file(repo_id="me/model", path_in_repo=f"{size}.bin", path_or_fileobj=b"\1" * size)

    push(8_000)
    with pytest.raises(HfHubHTTPError, match="403 Forbidden: Private repository storage limit reached"):
        push(4_000)
    hub.quotas.clear()
    push(4_000)
    for front, said in (
        ("license: mine", '"license" must be one of'),
        ("base_model: /home/me/base", '"base_model" with value "/home/me/base" is not valid'),
        ("{:", "YAML"),
        ("tags: [1]", '"tags" must be a string'),
    ):
        with pytest.raises(ValueError, match=r"Invalid metadata in README\.md") as caught:
            api.upload_file(
                repo_id="me/model", path_in_repo="README.md", path_or_fileobj=f"---\n{front}\n---\n".encode()
            )
        assert said in str(caught.value)
