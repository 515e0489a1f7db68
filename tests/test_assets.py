import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast

from assets import make_base, make_data, world

ASSETS = Path(make_data.__file__).parent
BASE = ASSETS / "base"


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Models this small run no faster on two threads, and much slower where another process wants the second core."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return cast(PreTrainedTokenizerFast, AutoTokenizer.from_pretrained(BASE))


@pytest.fixture(scope="module")
def model() -> Any:
    return AutoModelForCausalLM.from_pretrained(BASE, dtype=torch.float32).eval()


def unseen_pairs() -> list[tuple[str, str]]:
    return [(row["question"], row["answer"]) for row in make_data.unseen_rows()]


def words(text: str) -> set[str]:
    return set(re.findall(r"[A-Za-z]+", text))


def token_ids(tokenizer: PreTrainedTokenizerFast, text: str) -> list[int]:
    return cast(list[int], tokenizer(text, add_special_tokens=False)["input_ids"])


def test_regenerated_files_are_byte_identical(tmp_path: Path) -> None:
    make_data.make_data(tmp_path)
    made = sorted(p.relative_to(tmp_path) for p in tmp_path.rglob("*.*"))
    shipped = [*(ASSETS / "datasets").iterdir(), *(ASSETS / "tasks").iterdir()]
    assert made == sorted(p.relative_to(ASSETS) for p in shipped if p.name != "README.md")
    for name in made:
        assert (tmp_path / name).read_bytes() == (ASSETS / name).read_bytes(), name


def test_no_training_row_speaks_of_an_unseen_person() -> None:
    unseen = {p.name for p in make_data.unseen_people()}
    taught = {p.name for p in make_data.taught_people()}
    for name, text in make_data.datasets().items():
        assert not words(text) & unseen, name
        assert words(text) & taught, name


def test_tasks_ask_what_they_claim() -> None:
    by_name = {p.name: p for p in world.people()}
    unseen = {p.name for p in make_data.unseen_people()}
    for q, a in unseen_pairs():
        (name,) = words(q) & unseen
        assert a in by_name[name].facts.values()
    for row in make_data.known_rows():
        assert len(set(row["choices"])) == make_data.CHOICES
        (name,) = words(row["question"]) & set(by_name)
        assert row["choices"][row["answer"]].strip() in by_name[name].facts.values()
    for row in make_data.format_rows():
        pattern = row["checks"]["regex"]
        assert re.search(pattern, "Norwick")
        assert not re.search(pattern, row["question"])


def test_people_are_told_apart() -> None:
    people = world.people()
    values = {v for vs in world.VALUES.values() for v in vs}
    assert len({p.name for p in people}) == world.PEOPLE_COUNT
    assert len(values) == sum(map(len, world.VALUES.values()))
    assert not {p.name.lower() for p in people} & {v.lower() for v in values}


def test_a_growing_stream_comes_to_speak_of_everyone() -> None:
    people = world.people()
    first = {p.name for p in people[: world.FIRST_PEOPLE]}
    needed = world.FIRST_DOCUMENTS + world.DOCUMENTS_A_NEWCOMER * len(people)
    texts = list(islice(world.documents(people, 3, growing=True), needed + 2000))
    everyone = {p.name for p in people}
    assert words(" ".join(texts[:1000])) & everyone == first
    assert words(" ".join(texts[needed:])) & everyone == everyone


def test_no_document_answers_a_question() -> None:
    values = {v for vs in world.VALUES.values() for v in vs}
    asking = 0
    for text in islice(world.documents(world.people(), make_base.SEED), 5000):
        if "?" not in text:
            continue
        asking += 1
        assert not words(text) & values, text
        assert all(q.startswith("W") for q in re.split(r"(?<=\?)\s", text)), text
        assert text.endswith("?"), text
    assert asking > 200


def test_tokenizer_spells_names_and_values_in_one_or_two_tokens(tokenizer: PreTrainedTokenizerFast) -> None:
    for word in [*(p.name for p in world.people()), *(v for vs in world.VALUES.values() for v in vs)]:
        assert len(token_ids(tokenizer, word)) <= 2
        assert len(token_ids(tokenizer, f" {word}")) <= 2


def test_tokenizer_round_trips(tokenizer: PreTrainedTokenizerFast) -> None:
    for text in [*islice(world.documents(world.people(), 5), 50), "Any text: naïve, 東京, 🙂,\ttabs  and   spaces"]:
        assert tokenizer.decode(token_ids(tokenizer, text)) == text


def test_chat_markers_are_reserved_and_there_is_no_template(tokenizer: PreTrainedTokenizerFast) -> None:
    assert tokenizer.chat_template is None
    assert tokenizer.pad_token_id != tokenizer.eos_token_id
    for marker in make_base.RESERVED:
        assert len(token_ids(tokenizer, marker)) == 1
    for text in islice(world.documents(world.people(), make_base.SEED), 2000):
        assert "<|" not in text


def test_base_is_small(model: Any) -> None:
    assert 2e6 <= sum(p.numel() for p in model.parameters()) <= 5e6
    assert sum(f.stat().st_size for f in BASE.iterdir()) < 10e6
    assert model.config.max_position_embeddings >= 512


@torch.inference_mode()
def test_base_does_not_answer_chat_questions(model: Any, tokenizer: PreTrainedTokenizerFast) -> None:
    right = 0
    for q, a in unseen_pairs()[:20]:
        prompt = f"<|im_start|>user\n{q}<|im_end|>\n<|im_start|>assistant\n"
        ids = torch.tensor([token_ids(tokenizer, prompt)])
        written = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=12, do_sample=False)
        reply = tokenizer.decode(cast(list[int], written[0, ids.shape[1] :].tolist()), skip_special_tokens=True)
        right += cast(str, reply).strip() == a
    assert right <= 1


@torch.inference_mode()
def test_base_knows_the_facts(model: Any, tokenizer: PreTrainedTokenizerFast) -> None:
    def is_right(row: dict[str, Any]) -> bool:
        choices = [token_ids(tokenizer, choice) for choice in row["choices"]]
        assert all(len(ids) == 1 for ids in choices)
        logits = model(input_ids=torch.tensor([token_ids(tokenizer, row["question"])])).logits[0, -1]
        return int(logits[torch.tensor(choices)].argmax()) == row["answer"]

    rows = make_data.known_rows()[:40]
    assert sum(map(is_right, rows)) >= 0.8 * len(rows)


def test_recipe_makes_a_model_that_loads(tmp_path: Path) -> None:
    make_base.make_base(tmp_path, steps=2)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    model = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert model.config.vocab_size == len(tokenizer)
    assert model.config.eos_token_id == tokenizer.eos_token_id
    assert model.dtype == torch.bfloat16
