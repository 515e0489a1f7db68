"""Signing in with the loopback Hub, its pages, and the Hub as a process of its own."""

import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import RepositoryNotFoundError
from joserfc import jwt
from joserfc.jwk import KeySet

from ftspace.settings import ROOT
from tests.loopback_hub import LoopbackHub
from tests.loopback_hub.sign_in import CLIENT_ID, CLIENT_SECRET

BACK = "http://127.0.0.1:9/login/callback?_target_url=/"


def test_who_signs_in_gives_the_app_what_it_asked_for(hub: LoopbackHub) -> None:
    owner = HfApi()
    owner.create_repo("me/private", private=True)
    told = httpx2.get(f"{owner.endpoint}/.well-known/openid-configuration").json()
    asked = {
        "client_id": CLIENT_ID,
        "redirect_uri": BACK,
        "scope": "openid contribute-repos",
        "state": "s&",
        "nonce": "n",
    }
    page = httpx2.get(told["authorization_endpoint"], params=asked).text
    assert "<li>contribute-repos</li>" in page and "<option>me</option>" in page and 'value="s&amp;"' in page
    sent = httpx2.get(told["authorization_endpoint"], params=asked | {"user": "me"}).headers["location"]
    back = parse_qs(urlsplit(sent).query)
    assert sent.startswith(f"{BACK}&") and back["state"] == ["s&"]
    form = {"grant_type": "authorization_code", "code": back["code"][0], "redirect_uri": BACK}
    assert httpx2.post(told["token_endpoint"], data=form).json() == {"error": "invalid_client"}
    form |= {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    given = httpx2.post(told["token_endpoint"], data=form).json()
    keys = KeySet.import_key_set(httpx2.get(told["jwks_uri"]).json())
    claims = jwt.decode(given["id_token"], keys).claims
    assert (claims["preferred_username"], claims["nonce"], claims["iss"]) == ("me", "n", owner.endpoint)
    assert httpx2.post(told["token_endpoint"], data=form).json() == {"error": "invalid_grant"}, "a code is good once"
    by_app = {"authorization": f"Bearer {given['access_token']}"}
    assert httpx2.get(told["userinfo_endpoint"], headers=by_app).json()["sub"] == claims["sub"]
    signed_in = HfApi(token=given["access_token"])
    assert signed_in.whoami()["name"] == "me"
    signed_in.create_repo("me/made", private=True)
    assert signed_in.model_info("me/made").private
    with pytest.raises(RepositoryNotFoundError):
        signed_in.model_info("me/private")
    assert httpx2.get(told["authorization_endpoint"], params=asked | {"client_id": "another"}).status_code == 400


def test_a_browser_sees_what_its_user_may_see(hub: LoopbackHub) -> None:
    api = HfApi()
    api.create_repo("me/model", private=True)
    api.upload_file(repo_id="me/model", path_in_repo="README.md", path_or_fileobj=b"---\nlicense: mit\n---\n<b>hi</b>")
    api.update_repo_settings("me/model", gated="auto")

    def page(path: str) -> str:
        answer = httpx2.get(f"{api.endpoint}{path}")
        return answer.text if answer.status_code == 200 else str(answer.status_code)

    assert "me/model" in page("/?user=me") and "me/model" not in page("/")
    assert page("/me/model") == "404" and "&lt;b&gt;hi&lt;/b&gt;" in page("/me/model?user=me")
    assert "initial commit" in page(f"/me/model/tree/{api.list_repo_commits('me/model')[1].commit_id}?user=me")
    assert "(expired)" in page("/settings/tokens")
    api.update_repo_settings("me/model", private=False)
    assert httpx2.post(f"{api.endpoint}/me/model/ask-access", data={"user": "reader"}).json() == {"status": "accepted"}


def test_it_runs_by_hand_and_says_what_makes_a_space(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.loopback_hub", str(tmp_path / "hub"), "0", "--space"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said: dict[str, str] = {}
        while "FTSPACE_USERS" not in said:
            name, _, value = process.stdout.readline().strip().partition("=")
            said[name] = value.strip("'")
        address = said["HF_ENDPOINT"]
        assert said["OPENID_PROVIDER_URL"] == address and said["HF_HUB_DISABLE_XET"] == "1"
        assert "contribute-repos" in said["OAUTH_SCOPES"].split() and said["SYSTEM"] == "spaces"
        assert httpx2.get(f"{address}/api/models").json() == []
        process.terminate()
