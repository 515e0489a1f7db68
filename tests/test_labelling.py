import io
import json

import pytest

from ftspace.cli import main
from ftspace.config import default_config
from ftspace.labels import read_label
from ftspace.runs import RunStore


def test_what_the_app_does_to_a_run_the_command_line_does(
    store: RunStore, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = store.create(default_config())
    store.create(default_config())

    def do(*words: str) -> tuple[int, str]:
        status = main(["runs", words[0], "--data-dir", str(store.runs_dir.parent), *words[1:]])
        out, err = capsys.readouterr()
        return status, out + err

    assert do("rename", run.id, "A", "good", "one")[0] == 0
    assert do("tag", run.id, "+first", "+b") == (0, "first, b\n")
    assert do("tag", run.id, "-b", "+c") == (0, "first, c\n") and do("tag", run.id)[1] == "first, c\n"
    monkeypatch.setattr("sys.stdin", io.StringIO("two\nlines\n"))
    assert do("note", run.id, "-")[0] == 0
    label = read_label(run)
    assert (label.title, label.tags, label.note) == ("A good one", ("first", "c"), "two\nlines")
    (line,) = json.loads(do("list", "good", "--tag", "FIRST", "--json")[1])
    assert (line["run_id"], line["title"], line["tags"], line["status"]) == (
        run.id,
        "A good one",
        ["first", "c"],
        "interrupted",
    )
    assert "A good one" in do("list")[1] and "no run is like that" in do("list", "nothing such")[1]
    for words, said in ((("tag", run.id, "x"), "+x puts it on"), (("rename", run.id, "x" * 121), "may have 120")):
        status, text = do(*words)
        assert status == 2 and said in text

    assert "restore" in do("delete", run.id)[1] and run.id not in do("list", "--json")[1]
    assert "A good one" in do("deleted")[1] and json.loads(do("deleted", "--json")[1])[0]["run_id"] == run.id
    assert do("restore", run.id)[0] == 0 and store.get(run.id).config == default_config()
    assert do("delete", run.id, "--now")[0] == 0
    assert do("restore", run.id)[0] == 2 and "nothing is deleted" in do("deleted")[1]
