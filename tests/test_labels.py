import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftspace.config import default_config
from ftspace.errors import ConfigError, DiskError
from ftspace.keeping import Keeper
from ftspace.labels import (
    NOTE,
    TAG,
    TAGS,
    TITLE,
    Label,
    checked,
    name_of,
    read_label,
    retagged,
    split_tags,
    write_label,
)
from ftspace.redact import keep_secret
from ftspace.runs import RunStore


def test_a_label_is_read_as_it_was_written_and_is_no_part_of_the_config(store: RunStore) -> None:
    run = store.create(default_config())
    config = (run.path / "config.json").read_bytes()
    assert read_label(run) == Label() and name_of(run) == "base on people"
    said = Label(title="  The\tgood\none ", tags=("first", "#Second", "FIRST", " "), note=" a\r\n\r\nb \x00\u202e")
    kept = write_label(run, said)
    assert kept == read_label(run) == Label(title="The good one", tags=("first", "Second"), note="a\n\nb")
    assert name_of(run) == "The good one" and (run.path / "config.json").read_bytes() == config
    assert sorted(path.name for path in run.path.glob(".*")) == []
    for torn in (b"", b"{", b"[]", b'{"title": 1}'):
        (run.path / "label.json").write_bytes(torn)
        assert read_label(run) == Label() and name_of(run) == "base on people"


@pytest.mark.parametrize(
    ("label", "said"),
    [
        (Label(title="x" * (TITLE + 1)), "title has 121 characters and may have 120"),
        (Label(tags=tuple(map(str, range(TAGS + 1)))), "11 tags and there may be 10"),
        (Label(tags=("y" * (TAG + 1),)), "31 characters and may have 30"),
        (Label(note="z" * (NOTE + 1)), "note has 5,001 characters and may have 5,000"),
    ],
)
def test_what_is_too_long_is_refused_and_the_old_stays(store: RunStore, label: Label, said: str) -> None:
    run = store.create(default_config())
    write_label(run, Label(title="old"))
    with pytest.raises(ConfigError, match=said):
        write_label(run, label)
    assert read_label(run).title == "old"


def test_no_secret_is_kept_and_a_disk_that_refuses_is_told(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ftspace.redact._kept", {})
    keep_secret("a typed secret")
    run = store.create(default_config())
    kept = write_label(run, Label(title="a typed secret", note="is a typed secret"))
    assert "secret" not in kept.title + kept.note

    def refuse(*_: object) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(DiskError, match="free some space"):
        write_label(run, Label(title="b"))
    assert read_label(run) == kept


def test_tags_are_typed_added_and_taken_away() -> None:
    assert split_tags(" a, #b ,,c d;e") == ("a", "b", "c d", "e")
    assert checked(retagged(Label(tags=("a", "b")), add=["c", "A"], remove=["B"])).tags == ("a", "c")


@given(st.text(max_size=60), st.lists(st.text(max_size=20), max_size=TAGS), st.text(max_size=200))
def test_what_is_kept_stays_as_it_is(title: str, tags: list[str], note: str) -> None:
    kept = checked(Label(title=title, tags=tuple(tags), note=note))
    assert checked(kept) == kept and "\n" not in kept.title
    assert split_tags(", ".join(kept.tags)) == tuple(tag for tag in kept.tags if ";" not in tag) or ";" in str(
        kept.tags
    )


def test_a_label_comes_back_with_its_run(store: RunStore, tmp_path: Path) -> None:
    run = store.create(default_config())
    keeper = Keeper(store, tmp_path / "kept")
    keeper.look()
    write_label(run, Label(title="kept", tags=("a",)))
    keeper.look()
    shutil.rmtree(store.runs_dir)
    assert Keeper(store, tmp_path / "kept").bring_back() == [run.id]
    assert read_label(store.get(run.id)) == Label(title="kept", tags=("a",))
