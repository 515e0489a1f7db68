import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from ftspace.data.prepare import Manifest, prepare, preview, read_rows, read_split
from ftspace.data.review import Decision, conversation_id
from ftspace.data.split import SPLITS, Split
from ftspace.errors import DatasetError
from ftspace.sections import DataConfig


def write(path: Path, rows: Sequence[Mapping[str, Any]]) -> DataConfig:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return DataConfig(id=str(path))


def row(number: int) -> dict[str, str]:
    return {"question": f"What is {number} plus one?", "answer": str(number + 1)}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "cache"))


def test_every_row_is_in_one_split_and_equal_rows_in_the_same(tmp_path: Path) -> None:
    manifest = prepare(write(tmp_path / "rows.jsonl", [row(n % 400) for n in range(800)]), tmp_path / "data")
    sets = {name: {turns[0]["content"] for turns in read_split(tmp_path / "data", name)} for name in SPLITS}
    assert sum(manifest.rows.values()) == 800
    assert sum(len(one) for one in sets.values()) == len(set.union(*sets.values())) == 400
    assert 0.05 < manifest.rows["test"] / 800 < 0.15
    assert manifest.rows["validation"] > 0


def test_the_split_is_the_seeds_and_rows_added_later_move_none(tmp_path: Path) -> None:
    few = write(tmp_path / "few.jsonl", [row(n) for n in range(100)])
    more = write(tmp_path / "more.jsonl", [row(n) for n in reversed(range(150))])
    first = prepare(few, tmp_path / "a")
    assert prepare(few, tmp_path / "b") == first
    prepare(more, tmp_path / "c")
    prepare(few.model_copy(update={"seed": 1}), tmp_path / "d")
    tests = {name: {t[0]["content"] for t in read_split(tmp_path / name, "test")} for name in "acd"}
    assert tests["a"] <= tests["c"]
    assert tests["a"] != tests["d"]


def test_rows_left_out_are_counted_by_reason(tmp_path: Path) -> None:
    rows = [row(n) for n in range(50)] + [{"question": "And?", "answer": ""}] * 3
    manifest = prepare(write(tmp_path / "rows.jsonl", rows), tmp_path / "data")
    assert manifest.dropped == {"empty answer": 3}
    assert sum(manifest.rows.values()) == 50


def test_a_dataset_without_a_usable_row_is_refused(tmp_path: Path) -> None:
    config = write(tmp_path / "rows.jsonl", [{"question": "And?", "answer": ""}] * 3)
    with pytest.raises(DatasetError, match="3 with empty answer"):
        prepare(config, tmp_path / "data")
    with pytest.raises(DatasetError, match="none of the first 3 rows"):
        preview(config)


def test_a_preview_shows_the_first_rows_and_what_made_them(tmp_path: Path) -> None:
    shown = preview(write(tmp_path / "rows.jsonl", [row(n) for n in range(30)]), 2)
    assert shown.format == "question/answer"
    assert shown.used == ["question", "answer"]
    assert [turns[1]["content"] for turns in shown.conversations] == ["1", "2"]


def test_what_a_person_gave_and_what_they_should_know_is_kept(tmp_path: Path) -> None:
    rows = [row(n) | {"problem": f"{n}?", "solution": f"minus {n}"} for n in range(60)]
    config = write(tmp_path / "rows.jsonl", rows)
    guessed = prepare(config, tmp_path / "a")
    assert guessed.mapping == {"prompt": "question", "completion": "answer"}
    assert "it could also be problem/solution" in guessed.warnings[0]
    said = config.model_copy(update={"mapping": {"prompt": "problem", "completion": "solution"}})
    told = prepare(said, tmp_path / "b")
    assert (told.mapping, told.warnings) == ({"prompt": "problem", "completion": "solution"}, ())
    assert all(turns[1]["content"].startswith("minus") for turns in read_split(tmp_path / "b", "train"))
    assert preview(said, 1).understood.confidence == 1.0


def test_a_pandas_export_is_as_many_rows_as_it_has(tmp_path: Path) -> None:
    exported = {key: {str(n): row(n)[key] for n in range(40)} for key in ("question", "answer")}
    (tmp_path / "rows.json").write_text(json.dumps([exported]))
    config = DataConfig(id=str(tmp_path / "rows.json"))
    assert sum(prepare(config, tmp_path / "data").rows.values()) == 40
    assert sum(prepare(config.model_copy(update={"max_samples": 30}), tmp_path / "few").rows.values()) == 30


WORDS = [f"word{n}" for n in range(3000)]


def talk(chance: random.Random, length: int = 40) -> dict[str, str]:
    return {"question": " ".join(chance.choices(WORDS, k=12)), "answer": " ".join(chance.choices(WORDS, k=length))}


def contents(folder: Path, split: Split) -> list[tuple[str, str]]:
    return [(turns[0]["content"], turns[-1]["content"]) for turns in read_split(folder, split)]


def test_rows_that_belong_together_never_straddle(tmp_path: Path) -> None:
    chance = random.Random(3)
    rows = [talk(chance) for _ in range(120)]
    alike = [one | {"answer": one["answer"] + " indeed"} for one in rows]
    asked_again = [one | {"answer": " ".join(chance.choices(WORDS, k=30))} for one in rows]
    config = write(tmp_path / "rows.jsonl", rows + alike + asked_again)
    manifest = prepare(config, tmp_path / "data")
    questions = {split: {asked for asked, _ in contents(tmp_path / "data", split)} for split in SPLITS}
    assert all(questions[split] for split in SPLITS)
    assert sum(map(len, questions.values())) == 120
    assert manifest.report and {one.finding: one.rows for one in manifest.report.found}["near_duplicate"] == 120


def test_filters_and_the_review_leave_rows_out_and_list_them(tmp_path: Path) -> None:
    chance = random.Random(4)
    rows = [talk(chance) for _ in range(60)]
    bad = {"question": "Who wrote the book?", "answer": "I'm sorry, but as an AI language model I cannot answer that."}
    given = [*rows, rows[7], bad, {"question": "And?", "answer": ""}]
    config = write(tmp_path / "rows.jsonl", given)
    everything = prepare(config, tmp_path / "all")
    dropped = preview(config, 3).conversations[2]
    decision = Decision(id=conversation_id(dropped), keep=False, note="odd")
    (tmp_path / "review.jsonl").write_text(decision.model_dump_json() + "\n")
    update = {"filters": ["duplicate", "refusal"], "review": str(tmp_path / "review.jsonl")}
    manifest = prepare(config.model_copy(update=update), tmp_path / "data")
    assert sum(everything.rows.values()) == 62 and everything.removed == {}
    assert sum(manifest.rows.values()) == 59
    assert manifest.dropped == {"empty answer": 1}
    assert manifest.removed == {"duplicate": 1, "refusal": 1, "dropped in the review": 1}
    listed = [json.loads(line) for line in (tmp_path / "data" / "removed.jsonl").read_text().splitlines()]
    assert {(one["row"], one["reason"]) for one in listed} == {
        (63, "empty answer"),
        (61, "duplicate"),
        (62, "refusal"),
        (3, "dropped in the review"),
    }
    assert {one["split"] for one in listed} == {"train"}
    assert (tmp_path / "data" / "review.jsonl").exists()
    with pytest.raises(DatasetError, match="there is no file"):
        prepare(config.model_copy(update={"review": "gone.jsonl"}), tmp_path / "none")


def test_a_fraction_takes_training_rows_only_and_a_larger_one_holds_a_smaller(tmp_path: Path) -> None:
    config = write(tmp_path / "rows.jsonl", [row(n) for n in range(400)])
    whole = prepare(config, tmp_path / "1.0")
    taken: list[set[tuple[str, str]]] = []
    for fraction in (0.25, 0.5):
        manifest = prepare(config.model_copy(update={"fraction": fraction}), tmp_path / str(fraction))
        assert manifest.unused == whole.rows["train"] - manifest.rows["train"]
        assert abs(manifest.rows["train"] / whole.rows["train"] - fraction) < 0.1
        for split in ("validation", "test"):
            assert contents(tmp_path / str(fraction), split) == contents(tmp_path / "1.0", split)
        taken.append(set(contents(tmp_path / str(fraction), "train")))
    assert taken[0] < taken[1] < set(contents(tmp_path / "1.0", "train"))


def test_a_datasets_own_test_split_is_asked_and_what_training_repeats_of_it_is_marked(tmp_path: Path) -> None:
    chance = random.Random(6)
    folder = tmp_path / "rows"
    folder.mkdir()
    train, test = [talk(chance) for _ in range(100)], [talk(chance) for _ in range(30)]
    passage = " ".join(train[3]["answer"].split()[:15])
    test[0] = train[5]
    test[1] = test[1] | {"answer": f"{passage} {test[1]['answer']}"}
    for name, rows in (("train", train), ("test", test)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows))
    config = DataConfig(id=str(folder))
    manifest = prepare(config, tmp_path / "data")
    assert contents(tmp_path / "data", "test") == [(one["question"], one["answer"]) for one in test]
    assert manifest.rows["train"] + manifest.rows["validation"] == 100
    assert [place for place, one in enumerate(read_rows(tmp_path / "data", "test")) if one.overlap] == [0, 1]
    assert manifest.overlap == 2 and manifest.splits["test"] == "the dataset's own split test"
    cleaned = prepare(config.model_copy(update={"filters": ["overlap"]}), tmp_path / "cleaned")
    assert (cleaned.removed, cleaned.rows["test"], cleaned.overlap) == ({"overlap": 2}, 30, 0)
    kept_back = prepare(config.model_copy(update={"test_split": "none"}), tmp_path / "own")
    assert sum(kept_back.rows.values()) == 100 and kept_back.overlap == 0
    with pytest.raises(DatasetError, match="has no split exam; it has: "):
        prepare(config.model_copy(update={"test_split": "exam"}), tmp_path / "none")


def test_several_processes_prepare_what_one_does_and_a_stop_leaves_no_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ftspace.data.gather.BATCH", 60)
    chance = random.Random(7)
    given = [talk(chance) for _ in range(600)]
    config = write(tmp_path / "rows.jsonl", [*given, *given[:50]])
    seen: list[int] = []
    alone = prepare(config, tmp_path / "alone", seen.append, workers=1)
    assert seen == [*range(60, 650, 60), 650]
    assert prepare(config, tmp_path / "together", workers=2) == alone

    def stop(rows: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(config, tmp_path / "stopped", stop, workers=1)
    assert list((tmp_path / "stopped").iterdir()) == []


def found_in(manifest: Manifest) -> dict[str, int]:
    return {one.finding: one.rows for one in manifest.report.found} if manifest.report else {}


def test_an_instruction_around_many_rows_makes_no_duplicates_wherever_they_stand(tmp_path: Path) -> None:
    chance = random.Random(8)
    varied = [talk(chance) for _ in range(300)]
    instruction = " ".join(chance.choices(WORDS, k=60))
    wrapped = [one | {"question": f"{instruction} {one['question']}"} for one in (talk(chance, 5) for _ in range(300))]
    for name, rows in (("first", wrapped + varied), ("last", varied + wrapped)):
        manifest = prepare(write(tmp_path / f"{name}.jsonl", rows), tmp_path / name)
        assert found_in(manifest).keys() <= {"short_answer", "other_language"} and manifest.overlap == 0


def test_many_answers_that_are_nearly_the_same_are_near_duplicates_and_stay_together(tmp_path: Path) -> None:
    chance = random.Random(9)
    answer = chance.choices(WORDS, k=150)
    changed = [" ".join([*answer[:n], WORDS[-n], *answer[n + 1 :]]) for n in range(1, 60)]
    alike = [{"question": f"{WORDS[n]}?", "answer": one} for n, one in enumerate(changed)]
    manifest = prepare(write(tmp_path / "rows.jsonl", [talk(chance) for _ in range(200)] + alike), tmp_path / "data")
    assert found_in(manifest)["near_duplicate"] == 58
    questions = {one["question"] for one in alike}
    held = [split for split in SPLITS if questions & {asked for asked, _ in contents(tmp_path / "data", split)}]
    assert len(held) == 1


def test_a_question_asked_by_many_rows_is_not_in_two_splits_unseen(tmp_path: Path) -> None:
    chance = random.Random(10)
    joke = {"question": "Tell me a joke, please."}
    for count, common in ((60, False), (300, True)):
        rows = [talk(chance) for _ in range(600)] + [talk(chance) | joke for _ in range(count)]
        manifest = prepare(write(tmp_path / f"{count}.jsonl", rows), tmp_path / str(count))
        folder, question = tmp_path / str(count), joke["question"]
        holding = [split for split in SPLITS if question in {asked for asked, _ in contents(folder, split)}]
        asked = [one for one in read_rows(folder, "test") if one.messages[0]["content"] == question]
        assert (len(holding) > 1) == common and all(one.overlap == common for one in asked)
        assert any("more than a fifth" in warning for warning in manifest.warnings) == common


def test_of_two_alike_the_one_that_no_other_filter_takes_stays(tmp_path: Path) -> None:
    chance = random.Random(11)
    clean = talk(chance, 60)
    personal = clean | {"answer": clean["answer"] + " Write to jo.smith@mailbox.org."}
    config = write(tmp_path / "rows.jsonl", [personal, clean, *(talk(chance) for _ in range(30))])
    manifest = prepare(config.model_copy(update={"filters": ["near_duplicate", "personal"]}), tmp_path / "data")
    assert sum(manifest.rows.values()) == 31
    assert found_in(manifest) == {"near_duplicate": 1, "personal": 1}


def test_long_rows_come_in_small_batches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("ftspace.data.gather.BATCH_CHARACTERS", 1000)
    rows = [{"messages": [{"role": "user", "content": "a" * 300}, {"role": "assistant", "content": "b " * 150}]}] * 12
    seen: list[int] = []
    prepare(write(tmp_path / "rows.jsonl", rows), tmp_path / "data", seen.append, workers=1, needs=None)
    assert seen == [2, 4, 6, 8, 10, 12]
