from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from ftspace.training.documents import LENGTHS, adopt, documents
from ftspace.training.noise import add_noise
from tests.training.test_documents import CPU, make_rows

ALPHA = 5.0


def test_each_conversation_has_the_noise_of_its_own_length_packed_or_padded() -> None:
    torch.manual_seed(0)
    width = 64
    model: Any = LlamaForCausalLM(
        LlamaConfig(vocab_size=300, hidden_size=width, intermediate_size=64, num_hidden_layers=1, num_attention_heads=4)
    )
    embedding = model.get_input_embeddings()
    rows = make_rows()
    assert adopt(model, rows) is None
    seen: list[torch.Tensor] = []
    add_noise(model, embedding, ALPHA)
    embedding.register_forward_hook(lambda module, args, output: seen.append(output - module.weight[args[0]]))
    whole = documents(rows)
    model.train()(**whole.inputs(CPU)[0])
    parts = seen[-1][0].split(whole.lengths)
    model.eval()(**whole.inputs(CPU)[0])
    assert not seen[-1].any()

    model.set_attn_implementation("sdpa")
    lengths = [len(row["input_ids"]) for row in rows]
    ids = torch.zeros(len(rows), max(lengths), dtype=torch.long)
    mask = torch.tensor([[1] * length + [0] * (max(lengths) - length) for length in lengths])
    model.train()(input_ids=ids, attention_mask=mask)
    padded = [one[:length] for one, length in zip(seen[-1], lengths, strict=True)]
    assert LENGTHS in whole.inputs(CPU)[0]
    for part in (*parts, *padded):
        most = ALPHA / (len(part) * width) ** 0.5
        assert 0.9 * most < part.abs().max() <= most * 1.0001
