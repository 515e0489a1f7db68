import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel

from evals.errors import ModelError
from evals.scorers.embedding import Embedder

TEXTS = ["Anna lives in Rome.", "Ben likes blue.", "no", "Where is Ben from? Ben is from Rome. " * 40]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory, tokenizer: Any) -> Path:
    torch.manual_seed(5)
    folder = tmp_path_factory.mktemp("encoder") / "bert"
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
        max_position_embeddings=64, initializer_range=0.5,
    )  # fmt: skip
    BertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def cosine(folder: Path, tokenizer: Any, pool: str) -> float:
    model = BertModel.from_pretrained(folder).eval()
    vectors: list[Any] = []
    for text in TEXTS[:2]:
        with torch.inference_mode():
            states = model(torch.tensor([tokenizer(text)["input_ids"]])).last_hidden_state[0].numpy()
        vectors.append({"mean": states.mean(0), "first": states[0], "last": states[-1]}[pool])
    one, other = vectors
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


@pytest.mark.parametrize(
    ("mode", "pool"),
    [(None, "mean"), ("pooling_mode_cls_token", "first"), ("pooling_mode_lasttoken", "last")],
)
def test_likeness_is_the_cosine_of_what_the_model_pools(
    encoder: Path, tokenizer: Any, tmp_path: Path, mode: str | None, pool: str
) -> None:
    if mode is not None:
        for file in encoder.iterdir():
            (tmp_path / file.name).symlink_to(file)
        (tmp_path / "1_Pooling").mkdir()
        (tmp_path / "1_Pooling/config.json").write_text(json.dumps({"word_embedding_dimension": 32, mode: True}))
        encoder = tmp_path
    embedder = Embedder(encoder, device="cpu")
    pairs = [(TEXTS[0], TEXTS[1]), (TEXTS[2], TEXTS[3]), (TEXTS[0], TEXTS[0]), (TEXTS[0], " ")]
    together = embedder.similarities(pairs)
    assert together[0] == pytest.approx(cosine(encoder, tokenizer, pool), abs=1e-5)
    assert together[2:] == pytest.approx([1, 0])
    alone = [Embedder(encoder, device="cpu").similarities([pair])[0] for pair in pairs]
    assert together == pytest.approx(alone, abs=1e-5)
    assert embedder.similarities(pairs) == together


def test_a_decoder_is_an_embedding_model_too(bases: dict[str, Path]) -> None:
    embedder = Embedder(bases["tied"], device="cpu")
    (same, other) = embedder.similarities([(TEXTS[0], TEXTS[0]), (TEXTS[0], TEXTS[1])])
    assert same == pytest.approx(1) and 0 <= other < 0.999
    assert embedder.identity != Embedder(bases["untied"], device="cpu").identity


def test_what_cannot_be_an_embedding_model_is_told(encoder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such folder"):
        Embedder("./nowhere")
    for file in encoder.iterdir():
        if file.suffix != ".safetensors":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    with pytest.raises(ModelError, match="no safetensors"):
        Embedder(tmp_path)
    (tmp_path / "model.safetensors").symlink_to(encoder / "model.safetensors")
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling/config.json").write_text('{"pooling_mode_max_tokens": true}')
    with pytest.raises(ModelError, match="it pools by pooling_mode_max_tokens"):
        Embedder(tmp_path)
