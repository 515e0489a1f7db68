from pathlib import Path

import pytest

from ftspace.data.review import Decision, decide
from ftspace.errors import DiskError
from ftspace.ui.choose.reviews import Reviews
from ftspace.ui.choose.sifting import Sifting

IDS = [str(number) * 64 for number in range(4)]
DROP, KEEP = Decision(id=IDS[0], keep=False), Decision(id=IDS[2], keep=True, note="odd")


def test_a_run_keeps_the_decisions_that_it_was_started_with(tmp_path: Path) -> None:
    reviews = Reviews(tmp_path / "reviews")
    page = reviews.decide("", DROP)
    assert reviews.decide(page, KEEP) == page
    closed = reviews.close(page)
    assert closed is not None and closed.stem != page
    run = reviews.id_of(str(closed))
    assert reviews.close(run) == closed
    later = reviews.decide(run, Decision(id=IDS[0], keep=True))
    assert later not in (run, page)
    assert reviews.decisions(run) == {DROP.id: DROP, KEEP.id: KEEP}
    assert reviews.decisions(later)[DROP.id].keep


@pytest.mark.parametrize(
    "sent", ["", "..", "../../etc/passwd", "a" * 31, "A" * 32, "a" * 32 + "\n", "a" * 48, "/etc/x"]
)
def test_an_id_that_is_none_of_ours_names_no_file(tmp_path: Path, sent: str) -> None:
    reviews = Reviews(tmp_path / "reviews")
    outside = tmp_path / "other.jsonl"
    outside.write_text("secret")
    assert reviews.path(sent) is None
    assert reviews.decisions(sent) == {}
    made = reviews.decide(sent, DROP)
    assert [path.stem for path in reviews.folder.iterdir()] == [made]
    assert outside.read_text() == "secret"


def test_decisions_from_elsewhere_are_taken_in(tmp_path: Path) -> None:
    reviews = Reviews(tmp_path / "reviews")
    decide(tmp_path / "mine.jsonl", DROP)
    taken = reviews.id_of(str(tmp_path / "mine.jsonl"))
    assert len(taken) == 64
    assert reviews.decisions(taken) == {DROP.id: DROP}
    assert reviews.id_of(str(tmp_path / "mine.jsonl")) == taken
    assert [path.stem for path in reviews.folder.iterdir()] == [taken]
    decide(tmp_path / "mine.jsonl", KEEP)
    changed = reviews.id_of(str(tmp_path / "mine.jsonl"))
    assert reviews.decisions(changed) == {DROP.id: DROP, KEEP.id: KEEP}
    assert reviews.decisions(taken) == {DROP.id: DROP}
    assert reviews.id_of(str(tmp_path / "gone.jsonl")) == reviews.id_of(None) == ""


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "reviews").write_text("")
    with pytest.raises(DiskError, match="decisions cannot be kept in"):
        Reviews(tmp_path / "reviews").decide("", DROP)


def test_rows_are_sifted_by_what_was_decided() -> None:
    sifting = Sifting(IDS, {DROP.id: DROP, KEEP.id: KEEP, "f" * 64: KEEP})
    shown = {only: [row for row in range(1, 5) if sifting.shows(only, row)] for only in ("all", "undecided", "dropped")}
    assert shown == {"all": [1, 2, 3, 4], "undecided": [2, 4], "dropped": [1]}
    assert [sifting.onward(1, "undecided", 1), sifting.onward(4, "undecided", -1), sifting.onward(4, "all", 1)] == [
        2,
        2,
        None,
    ]
    assert [sifting.nearest(1, "noted"), sifting.nearest(4, "dropped"), sifting.nearest(2, "undecided")] == [3, 1, 2]
    assert Sifting(IDS, {}).nearest(1, "noted") is None
    assert (sifting.counts, sifting.elsewhere) == ((2, 4, 1), 1)
    assert [sifting.state(row)[0] for row in (1, 2, 3)] == ["dropped", "undecided", "kept"]
    assert [sifting.within(row) for row in (0, -5, 99, 2.0, "x", None, float("nan"), True)] == [1, 1, 4, 2, 1, 1, 1, 1]
