"""Whether a judge is of the family of what it judges: models prefer what sounds like themselves.

The rule: a model's families are the words of known families in its name, taken as whole words that digits may follow
(Qwen2.5, llama3); of a folder, also in the names that its config gives for what it was made of. Only where no name
tells any does the architecture (`model_type`) count, since many families share that of Llama. A distilled model belongs
to both families in its name. Two names that tell nothing are never called family.
"""

import json
import re
from pathlib import Path
from typing import Any

_FAMILIES = {
    "anthropic": "claude",
    "baichuan": "baichuan",
    "cohere": "command aya c4ai cohere",
    "deepseek": "deepseek",
    "falcon": "falcon",
    "glm": "glm chatglm",
    "google": "gemma gemini palm",
    "granite": "granite",
    "internlm": "internlm",
    "kimi": "kimi moonlight",
    "llama": "llama codellama tinyllama vicuna alpaca",
    "minimax": "minimax",
    "mistral": "mistral mixtral ministral magistral codestral devstral zephyr",
    "nemotron": "nemotron",
    "olmo": "olmo olmoe tulu",
    "openai": "gpt chatgpt o1 o3 o4 davinci",
    "phi": "phi",
    "pythia": "pythia gptneox",
    "qwen": "qwen qwq",
    "smollm": "smollm",
    "stablelm": "stablelm",
    "yi": "yi",
}
_OF_WORD = {word: family for family, words in _FAMILIES.items() for word in words.split()}


def families(model: str) -> frozenset[str]:
    """The families of a model: a Hub id, a name at an endpoint, or a folder."""
    config = _config(model)
    made_of = [config.get(key) for key in ("_name_or_path", "base_model_name_or_path")]
    own = Path(model).name if config else model
    named = _in(" ".join([own, *(text for text in made_of if isinstance(text, str))]))
    kind = config.get("model_type")
    return named or (_in(kind) if isinstance(kind, str) else frozenset())


def _in(text: str) -> frozenset[str]:
    words = re.findall(r"[a-z]+\d?", text.casefold().replace("gpt-neox", "gptneox"))
    bare = [word.rstrip("0123456789") for word in words]
    return frozenset(_OF_WORD[word] for word in [*words, *bare] if word in _OF_WORD)


def _config(model: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in ("config.json", "adapter_config.json"):
        path = Path(model) / name
        if path.is_file():
            try:
                read = json.loads(path.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                continue
            found |= read if isinstance(read, dict) else {}
    return found
