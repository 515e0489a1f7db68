"""Uploaded datasets: looked through, given room, and kept in a folder for each visitor. Knows no widget and no run."""

import hashlib
import re
import secrets
import shutil
from contextlib import suppress
from pathlib import Path

from gradio.utils import get_upload_folder

from ftspace.access import Visitor
from ftspace.data.files import check_unpacked, kind_of
from ftspace.data.load import check_file
from ftspace.errors import DatasetError, JobError
from ftspace.settings import UPLOAD_MAX_BYTES, UPLOAD_MAX_ROWS, UPLOADS_MAX_BYTES, UPLOADS_MAX_FILES, Settings

_OWNERS_SHARE = 5
"""One visitor's uploads may take this part of what all may take."""


def folder_of(settings: Settings, visitor: Visitor) -> Path:
    """Where a visitor's uploaded datasets are kept."""
    return _folder(settings) / visitor.folder


def _folder(settings: Settings) -> Path:
    return settings.data_dir / "uploads"


def keep(settings: Settings, path: Path, visitor: Visitor) -> Path:
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
        uploads = folder_of(settings, visitor)
        kept = uploads / f"{stem}-{digest}{suffix}"
        if kept.is_file() and kept.stat().st_size == path.stat().st_size:
            return kept
        _check_room(settings, path.stat().st_size, visitor)
        beside = uploads / f".{kept.name}.{secrets.token_hex(4)}"
        try:
            shutil.copyfile(path, beside)
            beside.replace(kept)
        finally:
            beside.unlink(missing_ok=True)
    except DatasetError as error:  # the folder that uploads come in is no matter of the page's
        raise DatasetError(str(error).replace(str(path), path.name)) from error
    except OSError as error:
        raise JobError(f"{path.name} cannot be kept: {error.strerror}") from error
    return kept


def _check_room(settings: Settings, size: int, visitor: Visitor) -> None:
    """Raises JobError when what is kept, of a visitor's and of all, leaves no room for one more of this size."""
    every, uploads = _folder(settings), folder_of(settings, visitor)
    for folder in (every, uploads):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = _OWNERS_SHARE if settings.sign_in else 1
    shares = {uploads: part, every: 1}
    if visitor.name.casefold() in settings.authors:  # has a share that others cannot use up
        del shares[every]
    for folder, part_of in shares.items():
        kept = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
        files, room = UPLOADS_MAX_FILES // part_of, UPLOADS_MAX_BYTES / part_of
        if len(kept) >= files or sum(kept) + size > room:
            where = "of yours " if folder == uploads else ""
            advice = f"remove some from {folder}"
            if settings.space_id is not None:
                advice = "put the dataset on the Hub and give its id, or ask this Space's author to make room"
            raise JobError(
                f"there is no room for one more upload: {len(kept):,} files {where}with {sum(kept) / 1e9:,.3g} GB "
                f"are kept, and at most {files:,} with {room / 1e9:,.3g} GB are; {advice}"
            )


def forget_copy(upload: Path) -> None:
    """Removes the copy of an upload that Gradio took in; nothing else."""
    if upload.resolve().is_relative_to(Path(get_upload_folder()).resolve()):
        with suppress(OSError):
            upload.unlink(missing_ok=True)


def _upload_name(path: Path) -> tuple[str, str]:
    """An upload's name without what should not be in one, and its ending, which may be one such as .jsonl.gz."""
    suffix = path.suffix.lower()
    stem = path.stem
    if suffix == ".gz":
        suffix, stem = Path(stem).suffix.lower() + suffix, Path(stem).stem
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip(".-")[:60] or "dataset", suffix
