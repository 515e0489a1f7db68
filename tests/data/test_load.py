import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ftspace.data.load import Rows, load_rows, peek_rows, split_names
from ftspace.errors import DatasetError
from ftspace.sections import DataConfig
from tests.loopback_hub import LoopbackHub, serve

ROWS = [{"question": f"{n}+1?", "answer": str(n + 1)} for n in range(30)]


def lines(rows: list[Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


WRITERS: dict[str, Callable[[Path], Any]] = {
    "rows.jsonl": lambda path: path.write_text(lines(ROWS)),
    "rows.json": lambda path: path.write_text(json.dumps(ROWS)),
    "rows.csv": lambda path: pd.DataFrame(ROWS).to_csv(path, index=False),
    "rows.tsv": lambda path: pd.DataFrame(ROWS).to_csv(path, index=False, sep="\t"),
    "rows.jsonl.gz": lambda path: pd.DataFrame(ROWS).to_json(path, orient="records", lines=True),
    "rows.parquet": lambda path: pd.DataFrame(ROWS).to_parquet(path),
    "rows.arrow": lambda path: pd.DataFrame(ROWS).to_feather(path, compression="uncompressed"),
}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "cache"))


def texts(rows: Rows) -> list[dict[str, str]]:
    return [{key: str(value) for key, value in row.items()} for row in rows.rows()]


@pytest.mark.parametrize("name", WRITERS)
def test_files_of_each_kind_give_the_same_rows(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path / name)
    config = DataConfig(id=str(tmp_path / name))
    loaded = load_rows(config)
    assert loaded.columns == ["question", "answer"]
    assert texts(loaded) == texts(loaded) == ROWS, "the rows can be gone over again"
    assert [len(batch) for batch in loaded.batches(8)] == [8, 8, 8, 6]
    few = load_rows(config.model_copy(update={"max_samples": 7}))
    assert texts(few) == ROWS[:7] and [len(batch) for batch in few.batches(4)] == [4, 3]
    peeked = peek_rows(config, 3)
    assert texts(peeked) == ROWS[:3] and peeked.columns == ["question", "answer"]
    assert split_names(config) == ["train"]


def test_many_rows_are_gone_over_in_no_time_and_little_memory(tmp_path: Path) -> None:
    import tracemalloc

    turns = [{"role": "user", "content": "a question " * 20}, {"role": "assistant", "content": "an answer " * 20}]
    line = json.dumps({"messages": turns}) + "\n"
    (tmp_path / "many.jsonl").write_text(line * 20_000)
    loaded = load_rows(DataConfig(id=str(tmp_path / "many.jsonl")))
    start = time.process_time()
    assert sum(len(batch) for batch in loaded.batches(1000)) == 20_000
    assert time.process_time() - start < 2
    tracemalloc.start()
    for number, _ in enumerate(loaded.batches(200)):
        if number == 9:
            break
    held = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert held < 2_000_000 < (tmp_path / "many.jsonl").stat().st_size / 5


def test_only_the_rows_asked_for_are_read(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(lines(ROWS) + "{oops\n")
    config = DataConfig(id=str(tmp_path / "rows.jsonl"))
    assert len(list(load_rows(config.model_copy(update={"max_samples": 30})).rows())) == 30
    with pytest.raises(DatasetError, match="line 31"):
        list(load_rows(config).rows())


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.parquet", "rows.csv"])
def test_a_folder_is_a_dataset_with_splits(tmp_path: Path, name: str) -> None:
    folder, ending = tmp_path / "set", name.removeprefix("rows")
    (folder / "more").mkdir(parents=True)
    for part in ("train", "test", "more/train-2"):
        WRITERS[name](folder / f"{part}{ending}")
    (folder / ".hidden.json").write_text("{oops")
    (folder / "NOTES.md").write_text("what this is")
    (folder / "set.py").write_text("raise SystemExit('a dataset script was run')")
    config = DataConfig(id=str(folder))
    assert split_names(config) == ["train", "test"]
    assert len(list(load_rows(config).rows())) == 60
    assert len(list(load_rows(config.model_copy(update={"split": "test"})).rows())) == 30
    with pytest.raises(DatasetError, match=r"has no split dev; it has: train, test"):
        load_rows(config.model_copy(update={"split": "dev"}))


def test_a_folders_card_says_what_is_what(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(
        "---\nconfigs:\n- config_name: a\n  data_files: a.jsonl\n- config_name: b\n  data_files: b.csv\n---\nHello\n"
    )
    WRITERS["rows.jsonl"](tmp_path / "a.jsonl")
    WRITERS["rows.csv"](tmp_path / "b.csv")
    config = DataConfig(id=str(tmp_path))
    for name in "ab":
        assert texts(load_rows(config.model_copy(update={"config": name}))) == ROWS
    with pytest.raises(DatasetError, match="has several configurations; give one of: a, b"):
        load_rows(config)
    with pytest.raises(DatasetError, match="has no configuration c; give one of: a, b"):
        split_names(config.model_copy(update={"config": "c"}))


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([], "holds no files of rows"),
        (["set.py"], "a dataset script .set.py. and no files of rows, and scripts are never run"),
        (["a.txt", ".x.jsonl"], "holds no files of rows"),
        (["a.jsonl", "sub/b.csv"], "of several kinds, such as a.jsonl and sub/b.csv"),
        (["a.jsonl.zst"], "compressed in a way that is not read"),
    ],
)
def test_a_folder_of_other_things_is_refused(tmp_path: Path, names: list[str], said: str) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text('{"question": "1"}\n')
    for ask in (load_rows, split_names):
        with pytest.raises(DatasetError, match=said):
            ask(DataConfig(id=str(tmp_path)))


def test_a_file_has_one_split(tmp_path: Path) -> None:
    WRITERS["rows.jsonl"](tmp_path / "rows.jsonl")
    with pytest.raises(DatasetError, match="only split is train"):
        load_rows(DataConfig(id=str(tmp_path / "rows.jsonl"), split="test"))


def test_the_names_of_labels_come_with_the_rows(tmp_path: Path) -> None:
    from datasets import ClassLabel, Dataset, Features, Value

    kinds = Features({"text": Value("string"), "label": ClassLabel(names=["neg", "pos"])})
    Dataset.from_dict({"text": ["a", "b"], "label": [1, 0]}, features=kinds).to_parquet(tmp_path / "rows.parquet")
    config = DataConfig(id=str(tmp_path / "rows.parquet"))
    assert load_rows(config).labels == peek_rows(config, 1).labels == {"label": ["neg", "pos"]}


def test_cells_that_datasets_wrote_as_json_are_read(tmp_path: Path) -> None:
    from datasets import Dataset, Features, Json, Value

    kinds = Features({"text": Value("string"), "any": Json()})
    rows = [{"text": "a", "any": {"x": [1]}}, {"text": "b", "any": "y"}]
    Dataset.from_list(rows, features=kinds).to_parquet(tmp_path / "rows.parquet")
    assert list(load_rows(DataConfig(id=str(tmp_path / "rows.parquet"))).rows()) == rows


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
    """A Hub with three datasets, the only one that this process knows."""
    root = tmp_path / "hub"
    sums, two, script = (root / "datasets" / "towns" / name for name in ("sums", "two", "script"))
    for folder in (sums / "data", two, script):
        folder.mkdir(parents=True)
    for shard in range(2):
        rows = [{"n": n, "text": "x" * 100} for n in range(shard * 500, shard * 500 + 500)]
        (sums / "data" / f"train-0000{shard}-of-00002.jsonl").write_text(lines(rows))
    (sums / "data" / "test-00000-of-00001.jsonl").write_text(lines([{"n": n} for n in range(5)]))
    card = "---\nconfigs:\n- config_name: a\n  data_files: a.jsonl\n- config_name: b\n  data_files: a.jsonl\n---\n"
    (two / "README.md").write_text(card)
    (two / "a.jsonl").write_text(lines([{"n": 0}]))
    (script / "script.py").write_text("raise SystemExit('a dataset script was run')")
    loopback = LoopbackHub(root)
    with serve(loopback) as address:
        for name in ("huggingface_hub.constants.ENDPOINT", "datasets.config.HF_ENDPOINT"):
            monkeypatch.setattr(name, address)
        template = f"{address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
        for name in ("HF_HUB_OFFLINE", "HF_HUB_DISABLE_XET"):
            monkeypatch.setattr(f"huggingface_hub.constants.{name}", name == "HF_HUB_DISABLE_XET")
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hf"))
        monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "no-token"))
        monkeypatch.delenv("HF_TOKEN", raising=False)
        monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", False)
        monkeypatch.setattr("datasets.config.TORCH_AVAILABLE", False)  # streams import it, which takes seconds
        yield loopback


def test_of_the_hub_only_what_is_needed_is_downloaded(hub: LoopbackHub) -> None:
    def config(name: str = "sums", **given: Any) -> DataConfig:
        return DataConfig(id=f"towns/{name}", **given)

    def numbers(rows: Rows) -> list[int]:
        return [row["n"] for batch in rows.batches(100) for row in batch]

    def downloaded() -> set[str]:
        return {one.path.rpartition("/")[2] for one in hub.requests if one.method == "GET" and "-of-" in one.path}

    assert split_names(config()) == ["train", "test"]
    assert downloaded() == set()
    assert numbers(peek_rows(config(), 3)) == [0, 1, 2]
    few = load_rows(config(max_samples=400))
    assert (numbers(few), few.columns, len(few.revision or "")) == (list(range(400)), ["n", "text"], 40)
    assert downloaded() == {"train-00000-of-00002.jsonl"}
    assert numbers(load_rows(config(max_samples=600))) == list(range(600))
    with pytest.raises(DatasetError, match="has no split dev; it has: train, test"):
        load_rows(config(split="dev"))
    assert downloaded() == {"train-00000-of-00002.jsonl", "train-00001-of-00002.jsonl"}
    whole = load_rows(config())
    assert (numbers(whole), whole.columns, whole.revision) == (list(range(1000)), ["n", "text"], few.revision)
    with pytest.raises(DatasetError, match="has several configurations; give one of: a, b"):
        load_rows(config("two"))
    with pytest.raises(DatasetError, match="has no configuration c; give one of: a, b"):
        split_names(config("two", config="c"))
    with pytest.raises(DatasetError, match="scripts are never run"):
        load_rows(config("script"))


@pytest.mark.parametrize(
    "named",
    [
        "data_files: {there}",
        "data_files: {there}*",
        "data_files: /nowhere/at/all*",
        "data_files: [a.jsonl, {there}]",
        "data_files: [{{split: train, path: [a.jsonl, {there}]}}]",
        "data_files: a/../../{there}",
        "data_files: ~/x.jsonl",
        "data_files: file://{there}",
        "data_files: zip://a.jsonl::{there}",
        "data_dir: /nowhere",
        "data_dir: ../..",
    ],
)
def test_a_card_on_the_hub_finds_nothing_on_this_machine(hub: LoopbackHub, tmp_path: Path, named: str) -> None:
    (tmp_path / "mine.jsonl").write_text(lines([{"n": 0}]))
    said = named.format(there=tmp_path / "mine.jsonl")
    folder = hub.root / "datasets" / "towns" / "two"
    (folder / "README.md").write_text(f"---\nconfigs:\n- config_name: a\n  {said}\n---\n")
    for ask in (load_rows, split_names):
        with pytest.raises(DatasetError, match=r"^the card of the dataset towns/two names files that are not in its"):
            ask(DataConfig(id="towns/two"))
    (folder / "README.md").write_text("---\nlicense: mit\n---\n")
    (folder / ".huggingface.yaml").write_text(f"configs:\n- config_name: a\n  {said}\n")
    with pytest.raises(DatasetError, match="names files that are not in its"):
        load_rows(DataConfig(id="towns/two"))
