"""What all rooms of the Hub share: its repositories, and who may do what with them."""

import re
from pathlib import Path

from starlette.requests import Request

from tests.loopback_hub.answers import Refused
from tests.loopback_hub.people import NOBODY, TOKENS, Right, Token, User
from tests.loopback_hub.storage import KINDS, Commit, Repo, Store

NAME = re.compile(r"(?!.*(--|\.\.))[A-Za-z0-9_](?:[\w.-]{0,94}[A-Za-z0-9_])?(?<!\.git)", re.ASCII)
"""Names that users and repositories can have."""
BAD_TOKEN = "Invalid credentials in Authorization header"
NOT_FOUND = "Repository not found"
SETTINGS = (
    "Please enable access to public gated repositories in your fine-grained token settings to view this repository."
)
WAITING = {
    "pending": "Your request to access {what} is awaiting a review from the repo authors.",
    "rejected": "Your request to access {what} has been rejected by the repo's authors.",
}


class Desk:
    """Takes a request and says which repository it means and whether it may be done. Raises Refused otherwise."""

    def __init__(self, root: Path) -> None:
        """The Hub's folder; it need not be there yet."""
        self.root = root
        self.store = Store(root)
        self.tokens: dict[str, Token] = dict(TOKENS)
        """Every token that the Hub knows."""
        self.users: dict[str, User] = {}
        """Users of whom there is more to say than their names."""
        self.quotas: dict[str, int] = {}
        """Bytes that the private repositories of a user or an organisation may have; others have room for all."""
        self.secrets: dict[str, dict[str, str]] = {}
        """Values of the secrets of Spaces, by Space and name: kept here only, never on disk."""

    def token(self, request: Request) -> Token:
        """The token that came with a request; NOBODY's without one. One that is none any more is refused."""
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        token = self.tokens.get(given) if given else NOBODY
        if token is None:
            raise Refused(401, "", BAD_TOKEN)
        if token.expired:
            raise Refused(401, "", f'User Access Token "{token.user}-{token.role}" is expired')
        return token

    def user(self, request: Request) -> Token:
        """As `token`, for what nobody can do without one."""
        token = self.token(request)
        if not token.user:
            raise Refused(401, "", BAD_TOKEN)
        return token

    def may(self, token: Token, right: Right, repo: Repo) -> bool:
        """Whether a token gives a right to a repository, there or not."""
        user = self.users.get(token.user, User())
        made_by = repo.facts().get("madeBy", "")
        return user.may(right, token.user, repo.owner) and token.opens(right, repo.kind, repo.owner, repo.name, made_by)

    def repo(self, request: Request, right: Right = "see") -> Repo:
        """The repository of a request's path, for one who has that right to it."""
        kind = request.url.path.removeprefix("/api").split("/")[1]
        owner, name = request.path_params["owner"], request.path_params["name"]
        return self.named(request, kind if kind in KINDS else "models", owner, name, right)

    def named(self, request: Request, kind: str, owner: str, name: str, right: Right = "see") -> Repo:
        """As `repo`, by its name. What is public can be seen by everybody; what is gated too, but for its files."""
        token = self.token(request)
        repo = self.store.repo(kind, owner, name)
        known = NAME.fullmatch(owner) and NAME.fullmatch(name) and repo.folder.is_dir()
        if not known or (repo.private and not self.may(token, "see", repo)):
            raise Refused(404 if token.user else 401, "RepoNotFound", NOT_FOUND)
        if right == "gated":
            self._check_gate(request, token, repo)
        elif right != "see":
            self.check_writes(request, repo, right)
        return repo

    def _check_gate(self, request: Request, token: Token, repo: Repo) -> None:
        if not repo.gated or self.may(token, "see", repo):
            return
        what = f"{repo.kind[:-1]} {repo.id}"
        if not token.user:
            advice = "You must have access to it and be authenticated to access it. Please log in."
            raise Refused(401, "GatedRepo", f"Access to {what} is restricted. {advice}")
        belongs = self.users.get(token.user, User()).may("see", token.user, repo.owner)
        asked = "accepted" if belongs else repo.access().get(token.user, "")
        if asked in WAITING:
            raise Refused(403, "GatedRepo", WAITING[asked].format(what=what))
        if asked != "accepted":
            advice = f"Visit {self.address(request, repo)} to ask for access."
            message = f"Access to {what} is restricted and you are not in the authorized list. {advice}"
            raise Refused(403, "GatedRepo", message)
        if not token.opens("gated", repo.kind, repo.owner, repo.name):
            raise Refused(403, "", SETTINGS)

    def check_writes(self, request: Request, repo: Repo, right: Right = "write") -> Token:
        """Whether a repository may be made or changed; whose token it is."""
        token = self.user(request)
        if not self.may(token, right, repo):
            what = "create" if right == "create" else "change"
            message = f'You don\'t have the rights to {what} a {repo.kind[:-1]} under the namespace "{repo.owner}"'
            raise Refused(403, "", message)
        return token

    def commit(self, request: Request, repo: Repo) -> Commit:
        """The commit of a request's path."""
        found = repo.at(request.path_params.get("revision", "main"))
        if found is None:
            raise Refused(404, "RevisionNotFound", "Revision not found")
        return found

    def room_left(self, owner: str) -> int | None:
        """Bytes that an owner's private repositories may still grow by; None for no limit."""
        if owner not in self.quotas:
            return None
        repos = [repo for kind in KINDS for repo in self.store.repos(kind) if repo.owner == owner and repo.private]
        return self.quotas[owner] - sum(repo.used() for repo in repos)

    def address(self, request: Request, repo: Repo) -> str:
        """The repository's own page."""
        return f"{request.base_url}{KINDS[repo.kind]}{repo.id}"
