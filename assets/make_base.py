"""Makes the bundled base model from nothing: world -> tokenizer -> pretraining -> `assets/base/`.

Run `python -m assets.make_base [--out DIR] [--steps N]`. Needs no network and no GPU. The seed fixes the people, the
documents, their order and the first weights. Floating-point sums may still differ between CPUs and thread counts, so
another machine gets an equally good model, not the same bits. Knows nothing of chat, datasets or fine-tuning.
"""

import argparse
import logging
import math
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from assets import world

SEED = 7
STEPS = 1500
BATCH, LENGTH = 16, 128
PEAK_LR, WARMUP = 4e-3, 50
VOCABULARY = 1536
CONTEXT = 512
TOKENIZER_DOCUMENTS = 20_000
EOS, PAD, RESERVED = "<|endoftext|>", "<|pad|>", ("<|im_start|>", "<|im_end|>")
BASE_DIR = Path(__file__).parent / "base"

log = logging.getLogger("make_base")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Pretrain the bundled base model from scratch.")
    parser.add_argument("--out", type=Path, default=BASE_DIR, help="folder to write (default: assets/base)")
    parser.add_argument("--steps", type=int, default=STEPS, help=f"optimizer steps (default: {STEPS})")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(2)
    make_base(args.out, args.steps)


def make_base(out: Path, steps: int = STEPS, seed: int = SEED) -> None:
    """Trains tokenizer and model and writes them to `out`."""
    people = world.people()
    tokenizer = train_tokenizer(people, seed)
    torch.manual_seed(seed)
    model = new_model(tokenizer)
    pretrain(model, token_batches(tokenizer, people, seed), steps)
    save(model, tokenizer, out)


def train_tokenizer(people: list[world.Person], seed: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE; the two chat markers are reserved and appear in no document. There is no chat template."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[EOS, PAD, *RESERVED],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(islice(world.documents(people, seed), TOKENIZER_DOCUMENTS), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=EOS,
        eos_token=EOS,
        pad_token=PAD,
        extra_special_tokens=list(RESERVED),
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )


def new_model(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """An untrained Llama of 3.4 million parameters."""
    ids = tokenizer.get_vocab()
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=256,
        intermediate_size=640,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        bos_token_id=ids[EOS],
        eos_token_id=ids[EOS],
        pad_token_id=ids[PAD],
    )
    model = LlamaForCausalLM(config)
    model.generation_config = GenerationConfig(
        bos_token_id=ids[EOS],
        eos_token_id=ids[EOS],
        pad_token_id=ids[PAD],
    )
    return model


def token_batches(tokenizer: PreTrainedTokenizerFast, people: list[world.Person], seed: int) -> Iterator[torch.Tensor]:
    """Endless batches without padding: documents in a row, each opened by the end-of-text token, cut to one length."""
    texts = world.documents(people, seed, growing=True)
    end_of_text = tokenizer.get_vocab()[EOS]
    stream: list[int] = []
    while True:
        while len(stream) < BATCH * LENGTH:
            rows = tokenizer(list(islice(texts, 2000)), add_special_tokens=False)["input_ids"]
            for row in rows:
                stream.append(end_of_text)
                stream.extend(row)
        yield torch.tensor(stream[: BATCH * LENGTH]).view(BATCH, LENGTH)
        del stream[: BATCH * LENGTH]


def pretrain(model: LlamaForCausalLM, batches: Iterator[torch.Tensor], steps: int) -> None:
    """Muon for the matrices of the layers, AdamW for the rest; bf16 products over fp32 weights."""
    matrices = [p for p in model.model.layers.parameters() if p.ndim == 2]
    taken = set(map(id, matrices))
    others = [p for p in model.parameters() if id(p) not in taken]
    optimizers: list[torch.optim.Optimizer] = [
        torch.optim.Muon(matrices, lr=PEAK_LR, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, lr=PEAK_LR, betas=(0.9, 0.98), weight_decay=0.0),
    ]
    model.train()
    started = time.monotonic()
    for step, ids in enumerate(islice(batches, steps)):
        with torch.autocast("cpu", torch.bfloat16):
            loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step, steps)
            optimizer.step()
            optimizer.zero_grad()
        if step % 50 == 0 or step == steps - 1:
            log.info("step %d of %d, loss %.3f, %.0f s", step + 1, steps, loss.item(), time.monotonic() - started)


def learning_rate(step: int, steps: int) -> float:
    """Linear warm-up, then a cosine down to a fiftieth of the peak."""
    if step < WARMUP:
        return PEAK_LR * (step + 1) / WARMUP
    done = (step - WARMUP) / max(1, steps - WARMUP)
    return PEAK_LR * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done)))


def save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, out: Path) -> None:
    """Writes bf16 safetensors, config and tokenizer."""
    out.mkdir(parents=True, exist_ok=True)
    model.bfloat16().save_pretrained(out)
    tokenizer.save_pretrained(out)


if __name__ == "__main__":
    main()
