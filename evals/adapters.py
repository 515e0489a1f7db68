"""More adapters beside a loaded one: one copy of the base, several tuned models, each asked by its name.

Knows nothing of tasks or scores. `evals.sides` switches among what is loaded here.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from peft import PeftConfig, PeftModelForCausalLM
from transformers import PreTrainedTokenizerBase

from evals.errors import ModelError
from evals.models import attach, load_tokenizer
from evals.places import adapter_folder, is_whole
from evals.prompts import Prompter
from evals.sides import DEFAULT, names


def add_adapters(model: Any, tokenizer: PreTrainedTokenizerBase, adapters: Mapping[str, str | Path]) -> None:
    """Load more adapters of the same base into a pair, to be asked by their names.

    Args:
        model: what `models.load_comparison` gave with an adapter; those added are off until they are switched on.
        tokenizer: of the same pair; an adapter that was trained with another is refused.
        adapters: a name, without dots and unlike those loaded, and a Hub id or a folder of a PEFT adapter.

    Raises:
        ModelError: an adapter isn't there, doesn't fit, or was trained with another tokenizer or chat template.
    """
    own = Prompter(tokenizer)
    for name, adapter in adapters.items():
        folder = adapter_folder(adapter)
        if is_whole(folder) or not isinstance(model, PeftModelForCausalLM):
            whole = adapter if is_whole(folder) else "the first one"
            raise ModelError(f"{whole} is a whole model, not an adapter: it shares no weights; load each apart")
        if name in (*names(model), DEFAULT) or "." in name or not name:
            raise ModelError(f"no adapter can be added as {name!r}: names are without dots, and each is used once")
        if (folder / "tokenizer_config.json").exists():
            other = Prompter(load_tokenizer(folder))
            if (other.tokenizer_hash, other.template_hash) != (own.tokenizer_hash, own.template_hash):
                raise ModelError(
                    f"adapter {adapter}: it was trained with another tokenizer or chat template than those loaded "
                    "before; load it apart"
                )
        config, first = PeftConfig.from_pretrained(str(folder)), model.peft_config[DEFAULT]
        for field in ("trainable_token_indices", "modules_to_save"):  # PEFT 0.21 loads none that differs in these
            if (getattr(config, field, None) or None) != (getattr(first, field, None) or None):
                raise ModelError(f"adapter {adapter}: its {field} are not those of the first one; load it apart")
        base: Any = model.get_base_model()
        attach(model, name, folder, f"adapter {adapter}", base.name_or_path)
