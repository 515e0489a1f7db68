"""What every step of the page works with: where runs lie, the loaded models, and who may read what. No gradio here."""

import atexit
import hashlib
import re
import secrets
import shutil
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import mkdtemp

from evals.errors import LogError
from evals.log import read_results
from ftspace import jobs, queue
from ftspace.config import RunConfig, default_config
from ftspace.data.files import check_unpacked, kind_of
from ftspace.data.load import check_file
from ftspace.errors import ConfigError, DatasetError, FtspaceError, JobError
from ftspace.inference.client import InferenceClient
from ftspace.listing import Damaged, look
from ftspace.runs import Run, RunStore
from ftspace.settings import (
    ASSETS,
    UPLOAD_MAX_BYTES,
    UPLOAD_MAX_ROWS,
    UPLOADS_MAX_BYTES,
    UPLOADS_MAX_FILES,
    Settings,
    resolve_local,
)
from ftspace.ui.choice import Choice
from ftspace.ui.following import Followers
from ftspace.ui.queueing import turn_of
from ftspace.ui.reviews import Reviews
from ftspace.ui.views import RunLine, headline, run_line


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

    @classmethod
    def of(cls, settings: Settings) -> "Desk":
        """The desk of an app with these settings."""
        store = RunStore(settings.runs_dir)
        downloads = Path(mkdtemp(prefix="ftspace-"))
        atexit.register(shutil.rmtree, downloads, ignore_errors=True)
        models = InferenceClient(partial(queue.at_work, store))
        return cls(settings, store, models, downloads, Followers(store, partial(turn_of, store)))

    def look_after(self, *, warm: bool = True) -> None:
        """Sees to it that runs which wait are looked after, and has a worker wait for the next, if the app shall."""
        with suppress(FtspaceError):  # starting a run says it
            if warm and self.settings.warm:
                jobs.warm(self.store)
            else:
                jobs.look_after(self.store)

    def find(self, run_id: str) -> Run | None:
        """The run of an id that a page sent; None when it is none, or none that can be read."""
        try:
            run = self.store.get(run_id)
            run.config  # noqa: B018  (reads config.json)
        except FtspaceError:
            return None
        return run

    def draft(self, origin: str) -> RunConfig:
        """The config that a new run starts from: that of the run `origin`, else the embedded default."""
        run = self.find(origin)
        return run.config if run else default_config()

    def config_of(self, choice: Choice) -> RunConfig:
        """The config that a page's choice in step 1 makes, checked for who may read it. Raises ConfigError."""
        settled = choice.settled()
        config = settled.config_over(self.draft(settled.origin), self.reviews.path(settled.review))
        self.check_may_read(config)
        return config

    def with_closed_review(self, config: RunConfig, choice: Choice) -> RunConfig:
        """The config with a copy of the choice's decisions that nobody writes any more. Raises DiskError."""
        closed = self.reviews.close(choice.settled().review)
        review = str(closed) if closed else None
        return config.model_copy(update={"data": config.data.model_copy(update={"review": review})})

    def line(self, run: Run) -> RunLine:
        """A run in a list."""
        found = look(run)
        try:
            verdict = headline(read_results(run.results))[0] if run.results.exists() else None
        except LogError:
            return run_line(run.id, None, None, None)
        if isinstance(found, Damaged):
            return run_line(run.id, None, None, None)
        return run_line(run.id, run.config, found.status, verdict)

    def lines(self, most: int = 20) -> list[RunLine]:
        """The newest runs."""
        return [self.line(run) for run in self.store.list()[:most]]

    def used(self) -> tuple[list[str], list[str]]:
        """The models and the datasets of earlier runs, newest first."""
        configs = [run.config for run in map(self.find, (run.id for run in self.store.list()[:50])) if run]
        return [config.model.id for config in configs], [config.data.id for config in configs]

    def check_may_read(self, config: RunConfig) -> None:
        """Raises ConfigError when visitors of a Space name files of the machine that are not theirs to read."""
        if self.settings.space_id is None:
            return
        if config.model.trust_code:
            raise ConfigError("a model's own code would run with this Space's rights; do that on a machine of your own")
        for name in (config.model.id, config.data.id, *config.eval.tasks, config.data.review or ""):
            path = resolve_local(name) if name else None
            open_to_all = (ASSETS, self.uploads, self.reviews.folder)
            if path is not None and not any(path.is_relative_to(folder.resolve()) for folder in open_to_all):
                raise ConfigError(f"{name} is a path on this machine; give a Hub id, or upload a file")

    @property
    def reviews(self) -> Reviews:
        """Where the decisions about single rows are kept."""
        return Reviews(self.settings.data_dir / "reviews")

    @property
    def uploads(self) -> Path:
        """Where uploaded datasets are kept."""
        return self.settings.data_dir / "uploads"

    def keep_upload(self, path: Path) -> Path:
        """Copies an uploaded file to where it stays, named after itself and its content, once it proves to be rows.

        Raises DatasetError, or JobError when there is no room for it.
        """
        try:
            stem, suffix = _upload_name(path)
            if path.stat().st_size > UPLOAD_MAX_BYTES:
                raise DatasetError(f"{path} has more than {UPLOAD_MAX_BYTES / 1e6:,.0f} MB; give a part of it")
            if kind_of(path) == "arrow":  # what a compressed one takes in memory cannot be known before
                raise DatasetError(f"{path}: Arrow files are not taken as uploads; write it as Parquet")
            check_unpacked(path, UPLOAD_MAX_BYTES)
            check_file(path, UPLOAD_MAX_ROWS)
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()[:8]
            kept = self.uploads / f"{stem}-{digest}{suffix}"
            if kept.is_file() and kept.stat().st_size == path.stat().st_size:
                return kept
            self._check_room(path.stat().st_size)
            beside = self.uploads / f".{kept.name}.{secrets.token_hex(4)}"
            try:
                shutil.copyfile(path, beside)
                beside.replace(kept)
            finally:
                beside.unlink(missing_ok=True)
        except DatasetError as error:  # the folder that uploads come in is no matter of the page's
            raise DatasetError(str(error).replace(str(path), path.name)) from error
        except OSError as error:
            raise JobError(f"{path.name} cannot be kept in {self.uploads}: {error.strerror}") from error
        return kept

    def _check_room(self, size: int) -> None:
        """Raises JobError when the uploads that are kept leave no room for one more of this size."""
        self.uploads.mkdir(parents=True, exist_ok=True)
        kept = [path.stat().st_size for path in self.uploads.iterdir() if path.is_file()]
        if len(kept) >= UPLOADS_MAX_FILES or sum(kept) + size > UPLOADS_MAX_BYTES:
            raise JobError(
                f"there is no room for one more upload: {len(kept):,} files with {sum(kept) / 1e9:,.3g} GB are kept, "
                f"and at most {UPLOADS_MAX_FILES:,} with {UPLOADS_MAX_BYTES / 1e9:,.3g} GB are; "
                f"remove some from {self.uploads}"
            )


def _upload_name(path: Path) -> tuple[str, str]:
    """An upload's name without what should not be in one, and its ending, which may be one such as .jsonl.gz."""
    suffix = path.suffix.lower()
    stem = path.stem
    if suffix == ".gz":
        suffix, stem = Path(stem).suffix.lower() + suffix, Path(stem).stem
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip(".-")[:60] or "dataset", suffix
