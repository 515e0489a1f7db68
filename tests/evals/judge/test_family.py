from pathlib import Path

import pytest

from evals.judge.family import families


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("Qwen/Qwen2.5-0.5B-Instruct", {"qwen"}),
        ("deepseek-ai/DeepSeek-R1-Distill-Qwen-7B", {"qwen", "deepseek"}),
        ("gpt-4o-mini", {"openai"}),
        ("gpt2", {"openai"}),
        ("EleutherAI/gpt-neox-20b", {"pythia"}),
        ("google/gemma-3-1b-it", {"google"}),
        ("meta-llama/Llama-3.1-8B", {"llama"}),
        ("owner/philosophy", set[str]()),
    ],
)
def test_names_tell_the_family(model: str, expected: set[str]) -> None:
    assert families(model) == expected


def test_the_architecture_counts_only_where_no_name_tells(tmp_path: Path) -> None:
    folder = tmp_path / "phi" / "mine"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"model_type": "llama"}')
    assert families(str(folder)) == {"llama"}
    (folder / "config.json").write_text('{"model_type": "llama", "_name_or_path": "HuggingFaceTB/SmolLM2-135M"}')
    assert families(str(folder)) == {"smollm"}
