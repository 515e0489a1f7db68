import json
from pathlib import Path

import pytest

from evals.cache import digest, open_cache
from evals.errors import LogError

WEIGHTS = {"base": "b", "tuned": "t"}


def test_what_was_put_is_there_for_the_next_process_and_for_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "made" / "answers.jsonl"
    cache = open_cache(path, WEIGHTS)
    keys = [cache.key("base", 5, [1, 2]), cache.key("tuned", 5, [1, 2]), cache.key("base", 6, [1, 2])]
    assert len({*keys}) == 3 and None not in keys
    assert cache.key("other", 5, [1, 2]) is None and cache.get(None) is None
    assert not path.exists()
    cache.put({str(keys[0]): [[7, 8], True, False]})
    again = open_cache(path, WEIGHTS)
    assert again.get(keys[0]) == cache.get(keys[0]) == [[7, 8], True, False]
    assert again.get(keys[1]) is None
    assert open_cache(path, {"base": "other weights"}).get(digest("other weights", 5, [1, 2])) is None


def test_a_torn_line_is_passed_over_and_written_behind(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    open_cache(path, WEIGHTS).put({"a": 1, "b": 2})
    whole = path.read_bytes()
    for cut in range(len(whole) - 2, len(whole) // 2, -3):
        path.write_bytes(whole[:cut])
        cache = open_cache(path, WEIGHTS)
        assert (cache.get("a"), cache.get("b")) == (1, None)
        cache.put({"c": 3})
        later = open_cache(path, WEIGHTS)
        assert (later.get("a"), later.get("b"), later.get("c")) == (1, None, 3)
    path.write_text('7\n[]\n{"key": "x"}\n' + json.dumps({"key": "a", "value": 4}) + "\n")
    assert open_cache(path, WEIGHTS).get("a") == 4


def test_a_disk_that_refuses_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="can't be read"):
        open_cache(tmp_path, WEIGHTS)
    cache = open_cache(tmp_path / "later" / "answers.jsonl", WEIGHTS)
    (tmp_path / "later").write_text("in the way")
    with pytest.raises(LogError, match="can't be written"):
        cache.put({"a": 1})
