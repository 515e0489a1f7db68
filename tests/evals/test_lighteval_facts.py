"""What was found of LightEval 0.13.0, each fact in the place it was found in: an upgrade that changes one is seen here.

A fact that no longer holds is good news: then the code that goes round it can go too.
"""

import ast
import importlib
import inspect
import os
import re
import statistics
import subprocess
import sys
from importlib.metadata import requires, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from evals.lighteval.library import GeneralConfigLogger, ModelConfig

SPEC = find_spec("lighteval")
assert SPEC is not None and SPEC.submodule_search_locations
ROOT = Path(next(iter(SPEC.submodule_search_locations)))


def source(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


TRANSFORMERS = source("models/transformers/transformers_model.py")


def test_these_are_facts_of_the_pinned_version() -> None:
    assert version("lighteval") == "0.13.0"


def test_gitpython_below_it_fails_without_git_unless_it_is_told_not_to() -> None:
    assert "import git" in source("logging/info_loggers.py")
    for refresh, status in ((os.environ["GIT_PYTHON_REFRESH"], 0), ("raise", 1)):  # the first is `library`'s
        environment = {"PATH": "", "GIT_PYTHON_REFRESH": refresh}
        done = subprocess.run([sys.executable, "-c", "import git"], env=environment, capture_output=True, check=False)
        assert done.returncode == status


def test_1_the_details_logger_hashes_texts_which_xxhash_4_refuses() -> None:
    assert "xxhash.xxh64(doc.query)" in source("logging/info_loggers.py")
    assert int(version("xxhash").split(".")[0]) < 4


def test_2_the_registry_imports_every_task_and_some_go_to_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = source("tasks/registry.py")
    assert 'TASKS_DIR.glob("*.py")' in registry and "importlib.import_module" in registry
    assert "Registry.load_all_task_configs(" in registry.partition("def __init__")[2].partition("def ")[0]

    def get(url: str, **_: Any) -> None:
        raise ConnectionError(f"asked for {url}")

    monkeypatch.setattr("requests.get", get)
    for name, words in (("tiny_benchmarks", "asked for https://"), ("mt_bench.main", "model_name")):
        module = f"lighteval.tasks.tasks.{name}"
        monkeypatch.delitem(sys.modules, module, raising=False)
        with pytest.raises((ConnectionError, TypeError), match=words):
            importlib.import_module(module)


def test_3_import_and_from_model_switch_autograd_off() -> None:
    off = "torch.set_grad_enabled(False)"
    tree = ast.parse(TRANSFORMERS)
    assert off in [ast.unparse(node) for node in tree.body]
    (from_model,) = [one for one in ast.walk(tree) if isinstance(one, ast.FunctionDef) and one.name == "from_model"]
    assert off in ast.unparse(from_model)


def test_4_its_adapters_want_an_old_peft_and_are_merged_in_half_precision_and_saved() -> None:
    assert any(re.match(r"peft==0\.3\.0.*adapters", one) for one in requires("lighteval") or ())
    adapter = source("models/transformers/adapter_model.py")
    assert "torch_dtype=torch.float16" in adapter and "merge_and_unload()" in adapter
    assert "base.save_pretrained(merged_path)" in adapter


def test_5_the_cache_is_keyed_by_the_config_and_knows_no_weights(tmp_path: Path) -> None:
    from lighteval.utils.cache_management import SampleCache

    def key(name: str) -> str:
        return SampleCache.get_model_hash(None, ModelConfig(model_name=name))  # pyright: ignore[reportArgumentType]

    model = tmp_path / "model"
    model.mkdir()
    before = key(str(model))
    (model / "model.safetensors").write_bytes(b"other weights")
    assert key(str(model)) == before != key("another")


def test_6_a_longest_answer_in_the_generation_parameters_cuts_the_prompt() -> None:
    allowed = 'max_context_continuation_size_allowed = self.generation_config_dict["max_new_tokens"]'
    assert allowed in TRANSFORMERS and "max_length=max_context_continuation_size_allowed" in TRANSFORMERS


def test_7_one_end_token_is_forced_and_a_chat_ignores_stop_texts() -> None:
    assert "eos_token_id=self.tokenizer.eos_token_id," in TRANSFORMERS
    assert re.search(r"if self\.use_chat_template:\n\s+stop_tokens = \[self\.tokenizer\.eos_token\]\n", TRANSFORMERS)


def test_8_the_standard_error_of_a_metric_of_the_set_is_far_too_small(monkeypatch: pytest.MonkeyPatch) -> None:
    from lighteval.metrics.utils import stderr

    draws = [float(n % 7) for n in range(1000)]
    monkeypatch.setattr(stderr, "_bootstrap_internal", lambda **_: lambda _: draws)
    found = stderr.bootstrap_stderr(max, [0.0, 1.0], 1000)
    assert statistics.stdev(draws) / found == pytest.approx(1000**0.5), "divided by the root of the draws"


def test_9_batches_of_choices_shrink_to_one_document_and_all_logits_are_computed() -> None:
    (size,) = re.findall(r"batch_size = (max\(1, round\(batch_size // max_num_choices / 8\) \* 8\))", TRANSFORMERS)
    assert eval(size, {"batch_size": 16, "max_num_choices": 4}) == 1
    assert "logits_to_keep" not in TRANSFORMERS


def test_10_the_judge_sees_one_answer_and_scores_its_own_failures() -> None:
    from lighteval.metrics.utils.llm_as_judge import JudgeLM

    assert list(inspect.signature(JudgeLM.evaluate_answer).parameters)[1:] == ["question", "answer", "options", "gold"]
    judge = source("metrics/utils/llm_as_judge.py")
    assert "return error_message" in judge
    assert "scores = [self.process_judge_response(response) for response in responses]" in judge


def test_11_cleaning_up_drops_the_model_and_a_path_as_its_name_is_written_into(tmp_path: Path) -> None:
    from lighteval.utils.cache_management import SampleCache

    cleanup = TRANSFORMERS.partition("def cleanup")[2].partition("def ")[0]
    assert "del self.model" in cleanup
    model = tmp_path / "model"
    config = ModelConfig(model_name=str(model), cache_dir=str(tmp_path / "cache"))
    assert model in SampleCache(config).cache_dir.parents
    assert "git" in inspect.getsource(GeneralConfigLogger.__init__), "it looks for a repository above site-packages"
