"""A chat with a model before and after fine-tuning: the same question to both, answers side by side.

Stands alone: this file, demo.json and requirements.txt are a whole Space. demo.json names the base and the adapter, on
the Hub or in folders. There is one copy of the base's weights; the adapter is off for the one answer and on for the
other, and both are written a token at a time in turn, so that they can be watched together.
Run by hand: `python app.py`.
"""

import json
import threading
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gradio as gr
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

HERE = Path(__file__).resolve().parent
CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""For tokenizers that carry no chat template."""

Turns = list[dict[str, str]]


@dataclass(frozen=True)
class About:
    """What demo.json says."""

    base: str
    adapter: str
    title: str
    base_revision: str | None = None
    adapter_revision: str | None = None
    tokenizer_of_adapter: bool = False
    """Whether the adapter brings a tokenizer of its own."""
    quantization: str = "none"
    """none, nf4 or int8; only on a GPU."""
    system: str = ""
    max_new_tokens: int = 256
    links: dict[str, str] = field(default_factory=dict[str, str])
    """Words and the addresses behind them."""


class Pair:
    """One loaded base with its adapter, asked as either."""

    def __init__(self, about: About) -> None:
        """Loads both; only safetensors are read, and no code of theirs is run."""
        device = "cuda" if torch.cuda.is_available() else "cpu"
        whose = about.adapter if about.tokenizer_of_adapter else about.base
        revision = about.adapter_revision if about.tokenizer_of_adapter else about.base_revision
        self.tokenizer: Any = AutoTokenizer.from_pretrained(whose, revision=revision)
        if not self.tokenizer.chat_template:
            self.tokenizer.chat_template = CHATML
        options: dict[str, Any] = {"dtype": "auto" if device == "cuda" else torch.float32}
        if device == "cuda" and about.quantization != "none":
            options["quantization_config"] = _quantized(about.quantization)
            options["device_map"] = {"": device}
        base = AutoModelForCausalLM.from_pretrained(
            about.base, revision=about.base_revision, use_safetensors=True, **options
        )
        _fit(base, len(self.tokenizer))
        tuned = PeftModel.from_pretrained(base, about.adapter, revision=about.adapter_revision)
        self.model: Any = (tuned if "quantization_config" in options else tuned.to(device)).eval()
        head = base.get_output_embeddings()
        if head is not None:  # torch multiplies a frozen one row by row where the slice that it gets is not contiguous
            head.weight.requires_grad_(head.weight.is_floating_point())
        self.limit: int = getattr(base.config, "max_position_embeddings", None) or 1 << 30
        self.ends = _ends(base, self.tokenizer)
        self._turn = threading.Lock()

    def answers(self, turns: Turns, max_new_tokens: int, temperature: float) -> Iterator[tuple[str, str]]:
        """The base's and the tuned model's answer to the same conversations, as they grow.

        `turns` end with a question. Raises gr.Error for a conversation that is too long.
        """
        text = self.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        prompt: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        room = min(max_new_tokens, self.limit - len(prompt))
        if room < 1:
            raise gr.Error(f"The conversation has {len(prompt)} tokens, and the model reads {self.limit}: begin anew.")
        with self._turn:  # the adapter is switched in the one model
            sides = (_Side(prompt), _Side(prompt))
            for _ in range(room):
                for side, tuned in zip(sides, (False, True), strict=True):
                    if not side.done:
                        side.take(self._next(side, temperature, tuned=tuned), self.ends)
                base, tuned = (self.tokenizer.decode(side.written, skip_special_tokens=True) for side in sides)
                yield base.strip(), tuned.strip()
                if all(side.done for side in sides):
                    return

    @torch.inference_mode()
    def _next(self, side: "_Side", temperature: float, *, tuned: bool) -> int:
        ids = torch.tensor([side.unread], device=self.model.device)
        options: dict[str, Any] = {"input_ids": ids, "past_key_values": side.cache, "use_cache": True}
        if tuned:
            out = self.model(**options, logits_to_keep=1)
        else:
            with self.model.disable_adapter():
                out = self.model(**options, logits_to_keep=1)
        side.cache = out.past_key_values
        logits = out.logits[0, -1].float()
        if temperature <= 0:
            return int(logits.argmax())
        return int(torch.multinomial(torch.softmax(logits / temperature, dim=-1), 1))


class _Side:
    """One answer while it is written."""

    def __init__(self, prompt: list[int]) -> None:
        self.unread = list(prompt)
        self.written: list[int] = []
        self.cache: Any = None
        self.done = False

    def take(self, token: int, ends: frozenset[int]) -> None:
        self.done = token in ends
        self.unread = [token]
        if not self.done:
            self.written.append(token)


def _quantized(kind: str) -> BitsAndBytesConfig:
    if kind == "int8":
        return BitsAndBytesConfig(load_in_8bit=True)
    compute = torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=compute,
    )


def _fit(model: Any, tokens: int) -> None:
    """Gives the model a row for each token: new ones are the mean of the old ones, as they were in training."""
    old = model.get_input_embeddings().weight.shape[0]
    if tokens <= old:
        return
    model.resize_token_embeddings(tokens, mean_resizing=False)
    with torch.no_grad():
        for module in (model.get_input_embeddings(), model.get_output_embeddings()):
            if module is not None:
                module.weight[old:] = module.weight[:old].float().mean(dim=0).to(module.weight.dtype)


def _ends(model: Any, tokenizer: Any) -> frozenset[int]:
    """The tokens that end an answer: the model's, the tokenizer's and the template's end of turn."""
    named = model.generation_config.eos_token_id
    found = set(named if isinstance(named, list) else [named]) | {tokenizer.eos_token_id}
    known = tokenizer.get_vocab()
    found |= {known[one] for one in ("<|im_end|>", "<|eot_id|>", "<end_of_turn>", "<|end|>") if one in known}
    return frozenset(one for one in found if one is not None)


def read_about(path: Path = HERE / "demo.json") -> About:
    """What the demo shows."""
    return About(**json.loads(path.read_text(encoding="utf-8")))


def build(about: About, pair: Pair) -> gr.Blocks:
    """The page."""

    def ask(
        question: str, left: Turns, right: Turns, system: str, tokens: float, temperature: float
    ) -> Generator[tuple[Turns, Turns, str]]:
        if not question.strip():
            yield left, right, question
            return
        before: Turns = [{"role": "system", "content": system}] if system.strip() else []
        asked = {"role": "user", "content": question}
        # Each question stands alone: with answers of their own before it, the two would not be asked the same.
        for base, tuned in pair.answers([*before, asked], int(tokens), temperature):
            said: list[Turns] = [[asked, {"role": "assistant", "content": one}] for one in (base, tuned)]
            yield [*left, *said[0]], [*right, *said[1]], ""

    with gr.Blocks(title=about.title, analytics_enabled=False) as page:
        links = " · ".join(f"[{words}]({address})" for words, address in about.links.items())
        gr.Markdown(f"# {about.title}\n\nThe same question to the model before and after fine-tuning. {links}")
        with gr.Row():
            left = gr.Chatbot(label="Base", height=420)
            right = gr.Chatbot(label="Tuned", height=420)
        question = gr.Textbox(label="Question", placeholder="Each question is asked anew", autofocus=True)
        with gr.Row():
            send = gr.Button("Ask both", variant="primary")
            stop = gr.Button("Stop")
        with gr.Accordion("Settings", open=False):
            system = gr.Textbox(about.system, label="System prompt")
            tokens = gr.Slider(1, 1024, about.max_new_tokens, step=1, label="Most tokens of an answer")
            temperature = gr.Slider(0, 1.5, 0, step=0.1, label="Temperature", info="0: always the likeliest token")
        inputs = [question, left, right, system, tokens, temperature]
        told = [left, right, question]
        running: list[Any] = [
            event(ask, inputs, told, concurrency_id="model", concurrency_limit=1)
            for event in (send.click, question.submit)
        ]
        stop.click(None, cancels=running)
    return page


def main() -> None:
    """Loads the pair and serves the page."""
    about = read_about()
    build(about, Pair(about)).queue(max_size=20).launch(footer_links=[])


if __name__ == "__main__":
    main()
