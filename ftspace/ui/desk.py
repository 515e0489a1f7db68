"""What every step of the page works with: where runs lie, the loaded models, and who may read what.

Whatever leads to a run or a file takes the visitor who asks for it, so that no handler can leave that question out.
"""

import atexit
import re
import shutil
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import mkdtemp

import gradio as gr

from evals.errors import LogError
from evals.plain import headline
from evals.results import read_results
from ftspace import jobs, queue
from ftspace.access import LOCAL, Access, NotAllowedError, Visitor
from ftspace.config import RunConfig, default_config
from ftspace.errors import ConfigError, FtspaceError, JobError
from ftspace.hub.asker import asking_with
from ftspace.inference.client import InferenceClient
from ftspace.labels import read_label
from ftspace.launching import LaunchConfig
from ftspace.listing import Damaged, look
from ftspace.runs import Run, RunStore
from ftspace.settings import ASSETS, Settings, resolve_local
from ftspace.trash import Trash
from ftspace.ui import uploads
from ftspace.ui.choose.choice import NOT_THEIRS, Choice
from ftspace.ui.choose.reviews import Reviews
from ftspace.ui.limits import OWNER_TIMES, Act, Limits
from ftspace.ui.live.following import Followers
from ftspace.ui.live.queueing import turn_of
from ftspace.ui.views import RunLine, run_line
from ftspace.ui.visitors import scopes_of, token_of, visitor_of
from ftspace.words import short

_TRAINED = 20
"""Of the newest runs so many are offered to start from."""


@dataclass(frozen=True)
class Desk:
    """One app's runs, models and folders."""

    settings: Settings
    store: RunStore
    models: InferenceClient
    downloads: Path
    """A folder that the app may serve files from; it goes when the app ends."""
    followers: Followers
    """The runs that pages watch."""
    limits: Limits = field(default_factory=Limits)

    @classmethod
    def of(cls, settings: Settings) -> "Desk":
        """The desk of an app with these settings."""
        store = RunStore(settings.runs_dir)
        downloads = Path(mkdtemp(prefix="ftspace-"))
        atexit.register(shutil.rmtree, downloads, ignore_errors=True)
        models = InferenceClient(partial(queue.at_work, store))
        return cls(settings, store, models, downloads, Followers(store, partial(turn_of, store)))

    def look_after(self, *, warm: bool = True) -> None:
        """Sees to it that runs which wait are looked after, and has a worker wait for the next, if the app shall.

        Runs that were deleted long ago go for good.
        """
        threading.Thread(target=Trash(self.store).expire, name="trash", daemon=True).start()
        with suppress(FtspaceError):  # starting a run says it
            if warm and self.settings.warm and not self.settings.zero_gpu:
                jobs.warm(self.store)
            else:
                jobs.look_after(self.store)

    def visitor(self, request: gr.Request) -> Visitor:
        """Who sent a request. Where a GPU is lent, his page's newest one says whose GPU time his runs use."""
        visitor = visitor_of(request, self.settings)
        if self.settings.zero_gpu:
            from ftspace.ui.leases import remember

            remember(visitor.name, request)
        return visitor

    def admit(self, request: gr.Request, act: Act) -> Visitor:
        """The visitor who sent a request for what costs something. Raises NotAllowedError, or TooOftenError."""
        visitor = self.visitor(request)
        if not visitor.may_start:
            raise NotAllowedError(
                f"{visitor.name} may not start runs on this Space; duplicate it to have one of your own"
                if visitor.name
                else "sign in first: this is for those who may start runs on this Space"
            )
        self.limits.take(act, visitor.name, OWNER_TIMES if visitor.name == LOCAL else 1)
        return visitor

    @contextmanager
    def answering(self, request: gr.Request, act: Act) -> Generator[Visitor]:
        """Admits the visitor who sent a request; until it is left, the Hub is asked with the visitor's own token."""
        visitor = self.admit(request, act)
        with asking_with(token_of(request), scopes_of(request)):
            yield visitor

    def find(self, run_id: str, visitor: Visitor) -> Run | None:
        """The run of an id that a page sent; None when it is none, none that can be read, or not for this visitor."""
        try:
            run = self.store.get(run_id)
            return run if visitor.may_see(run.access) and run.config else None
        except FtspaceError:
            return None

    def get(self, run_id: str, visitor: Visitor) -> Run:
        """The run of an id that a page sent. Raises JobError, in the same words, for all that `find` finds nothing."""
        run = self.find(run_id, visitor)
        if run is None:
            raise JobError("there is no such run here; it may have been deleted")
        return run

    def own(self, run_id: str, visitor: Visitor) -> Run:
        """The same, for what changes it. Raises NotAllowedError when the visitor can only look at it."""
        run = self.get(run_id, visitor)
        if not visitor.may_change(run.access):
            raise NotAllowedError("only the owner of this run can do that")
        return run

    def create(self, config: RunConfig, visitor: Visitor) -> Run:
        """A new run of a visitor's. Raises DiskError."""
        return self.store.create(config, Access(owner=visitor.name))

    def draft(self, origin: str, visitor: Visitor) -> RunConfig:
        """The config that a new run starts from: that of the run `origin`, else the embedded default, lent its GPU
        where there is one to lend.

        A model or a dataset that is another's upload is none to start from.
        """
        run, default = self.find(origin, visitor), default_config()
        if self.settings.zero_gpu:
            default = default.model_copy(update={"launch": LaunchConfig(launcher="zerogpu")})
        if run is None:
            return default
        closed = {
            name: getattr(default, name)
            for name in ("model", "data")
            if not self.may_read(getattr(run.config, name).id, visitor)
        }
        return run.config.model_copy(update=closed)

    def config_of(self, choice: Choice, visitor: Visitor) -> RunConfig:
        """The config that a page's choice in step 1 makes, checked for who may read it.

        Raises ConfigError, or NotAllowedError for what only its owner may read.
        """
        if choice.is_closed:
            raise NotAllowedError("only the owner of this run sees the rows that it was made from")
        settled = choice.settled()
        review = self.reviews_of(visitor).path(settled.review)
        config = settled.config_over(self.draft(settled.origin, visitor), review)
        self.check_may_read(config, visitor)
        return config

    def with_closed_review(self, config: RunConfig, choice: Choice, visitor: Visitor) -> RunConfig:
        """The config with a copy of the choice's decisions that nobody writes any more. Raises DiskError."""
        closed = self.reviews_of(visitor).close(choice.settled().review)
        review = str(closed) if closed else None
        return config.model_copy(update={"data": config.data.model_copy(update={"review": review})})

    def review_of(self, config: RunConfig, visitor: Visitor) -> str:
        """The id of the decisions that a config names; "" when there are none, or none that the visitor may read."""
        named = config.data.review
        try:
            return self.reviews_of(visitor).id_of(named) if named and self.may_read(named, visitor) else ""
        except FtspaceError:
            return ""

    def line(self, run: Run) -> RunLine:
        """A run in a list."""
        found = look(run)
        try:
            verdict = headline(read_results(run.results))[0] if run.results.exists() else None
        except LogError:
            return run_line(run.id, None, None, None)
        if isinstance(found, Damaged):
            return run_line(run.id, None, None, None)
        return run_line(run.id, run.config, found.status, verdict, read_label(run).title)

    def owned(self, visitor: Visitor) -> Iterator[Run]:
        """A visitor's own runs, newest first."""
        return (run for run in self.store.list() if visitor.may_change(run.access))

    def shown(self, visitor: Visitor) -> Iterator[Run]:
        """The runs that others let everybody see, newest first."""
        mine = visitor.may_change
        return (run for run in self.store.list() if (access := run.access).public and not mine(access))

    def trained(self, visitor: Visitor) -> list[tuple[str, str]]:
        """The newest runs of a visitor's own that have an adapter: what they are called, and their ids."""
        lines = [self.line(run) for run in islice(self.owned(visitor), _TRAINED)]
        return [(f"{one.title}, {one.when}", one.id) for one in lines if self._has_adapter(one.id)]

    def _has_adapter(self, run_id: str) -> bool:
        return (self.store.runs_dir / run_id / "adapter" / "adapter_config.json").is_file()

    def used(self, visitor: Visitor) -> tuple[list[str], list[str]]:
        """The models and the datasets of a visitor's own earlier runs, newest first."""
        own = islice(self.owned(visitor), 50)
        configs = [run.config for one in own if (run := self.find(one.id, visitor))]
        return [config.model.id for config in configs], [config.data.id for config in configs]

    def check_may_read(self, config: RunConfig, visitor: Visitor) -> None:
        """Raises ConfigError when visitors of a Space name files of the machine that are not theirs to read.

        Nor may a model's own code run there, for it could read everybody's runs; and with sign-in trackers are not told
        of a run under the name of the Space.
        """
        asked = config.eval
        tasks = [name for name in (*asked.tasks, *asked.forgetting) if not _is_task_name(name)]
        files = (*tasks, *asked.earlier, asked.embedding_model or "", config.lora.start_from or "")
        for name in (config.model.id, config.data.id, config.data.review or "", *files):
            if name and not self.may_read(name, visitor):
                raise ConfigError(f"{name} is a path on this machine; give a Hub id, or upload a file")
        if self.settings.space_id is not None and (asked.reference or asked.judges):
            raise ConfigError(
                "eval.reference and eval.judges: this Space asks no addresses for others; leave them out, or duplicate "
                "it to have one of your own"
            )
        if self.settings.space_id is not None and config.model.trust_code:
            raise ConfigError("model.trust_code: a model's own code would run with this Space's rights; leave it out")
        if self.settings.sign_in and any(name != "tensorboard" for name in config.train.report_to):
            raise ConfigError("train.report_to: trackers are for a machine of your own; leave it out, or tensorboard")

    def may_read(self, name: str, visitor: Visitor) -> bool:
        """Whether a model, dataset or file of this name is the visitor's to read, be it there or not."""
        if self.settings.space_id is None:
            return True
        path = resolve_local(name)
        if path is None:
            return not _like_a_path(name)
        theirs = (ASSETS, self.uploads_of(visitor), self.reviews_of(visitor).folder)
        return any(path.is_relative_to(folder.resolve()) for folder in theirs)

    def reviews_of(self, visitor: Visitor) -> Reviews:
        """Where a visitor's decisions about single rows are kept."""
        return Reviews(self.settings.data_dir / "reviews" / visitor.folder)

    def uploads_of(self, visitor: Visitor) -> Path:
        """Where a visitor's uploaded datasets are kept."""
        return uploads.folder_of(self.settings, visitor)

    def keep_upload(self, path: Path, visitor: Visitor) -> Path:
        """Copies an uploaded file to where a visitor's stay. Raises DatasetError or JobError: see `uploads.keep`."""
        return uploads.keep(self.settings, path, visitor)

    def names_for(self, config: RunConfig, visitor: Visitor) -> dict[str, str]:
        """What a run was made from, as a visitor may know it, by the fields of a choice: no paths of this machine."""
        model, dataset = (
            name if self.may_read(name, visitor) else f"{short(name)} {NOT_THEIRS}"
            for name in (config.model.id, config.data.id)
        )
        return {"model": model, "dataset": dataset, "about": dataset}


def _is_task_name(name: str) -> bool:
    """Whether a task is named as LightEval names its own, such as `arc:challenge|25`; no file is."""
    return re.fullmatch(r"[\w:|+-]+", name) is not None and resolve_local(name) is None


def _like_a_path(name: str) -> bool:
    """Whether a name can be no Hub id, so that what it says of this machine is not to be answered."""
    return name.startswith(("/", "\\", ".", "~")) or name.count("/") > 1 or ":" in name
