"""Which English words a Chinese text may hold: names, units, and what is written in code."""

import re

from evals.metrics import METRICS
from ftspace.config import choices_of, field_names

_SAID = {str(choice) for name in field_names() for choice in choices_of(name) or ()} | set(METRICS)
_NAMES = _SAID | set(
    re.findall(
        r"\S+",
        """
        ftspace AI API CPU GPU CUDA LoRA QLoRA rsLoRA DoRA alpha token Token Hub Hugging Face Space YAML JSON JSONL CSV
        HTML Parquet Arrow Markdown ChatML ShareGPT LightEval OpenAI Inference Providers GGUF PEFT NEFTune BLEU ROUGE
        chrF chrF2 F1 KL Jaccard Bradley Terry Holm McNemar Newcombe kappa kB MB GB id Top top p n r t j k d u s A B f a
        English Apple Ann Gradio Python LIMA Alpaca Without Regret Lion SmolLM2 Enter LightEval's OpenAI's mid-p sqrt
        jsonl json csv parquet arrow txt zip sgd lora rslora adalora pissa olora eva loftq mps cuda cpu tensorboard hub
        all all-linear main x safetensors eval left right heldout train test ZeroGPU
        """,
    )
)
_CODE = re.compile(
    r"\b\d{8}-\d{6}-[0-9a-f]{12}\b|`[^`]*`|<\|[^|]*\|>|https?://\S+|[\w.-]*[\w-][/_=][\w/_.:=#|{}-]+|\b[a-z]+\.[a-z_.]+\b|--[\w-]+|\b[A-Z]+_[A-Z_]+\b"
    r"|\b[a-z]+-\d[\w.]*|\b[a-z]\d\w*(-[a-z]+\d*)?\b|\bv?\d[\w.]*"
)
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9'’-]*")


def english_words(text: str) -> list[str]:
    """The words of a text that should have been translated; a name, a unit and code are none."""
    return [word for word in _WORD.findall(_CODE.sub(" ", text)) if word not in _NAMES and not word.isupper()]
