"""How what was pushed is loaded, as code for people to copy: with PEFT, transformers and vLLM. Pure text."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from ftspace.config import RunConfig
from ftspace.hub.bundle.origins import Origin, Origins
from ftspace.hub.push.records import PushRequest
from ftspace.sections import PROMPTED


@dataclass(frozen=True)
class Form:
    """What of an adapter's form its loading depends on."""

    own_tokenizer: bool = False
    """Whether the tokenizer or its chat template is not the base's."""
    token_rows: bool = False
    """Whether it brings trained rows of single tokens."""
    rank: int | None = None
    """Its rank as it was saved."""
    parity: str = ""
    """Of a merged model: how far its answers are from those of base plus adapter."""
    end_ids: tuple[int, ...] = ()
    """The tokens that end an answer, where that was found out."""
    dtype: str = ""
    """The number format that the results were found in."""


def how_to_load(config: RunConfig, origins: Origins, request: PushRequest, form: Form) -> Iterator[str]:
    """Lines of Markdown, with the names of the base and of the repository in them."""
    here, base = request.repo_id, origins.base
    if base.url is None:
        yield f"The base {_quoted(base.name)} is no Hub model: put the path of your copy in its place.\n"
    if request.what == "merged" or config.lora.method == "full":
        yield f'```python\nfrom transformers import pipeline\n\nask = pipeline("text-generation", model="{here}")'
        yield f"{_asking}\n```\n"
        yield f"```sh\nvllm serve {here}\n```"
        return
    yield "With PEFT:\n"
    yield from _with_peft(config, base, here, form)
    if base.url and not form.own_tokenizer:
        yield "\nWith transformers, which loads the base by itself:\n"
        yield f'```python\nfrom transformers import pipeline\n\nask = pipeline("text-generation", model="{here}")'
        yield f"{_asking}\n```"
    yield "\nWith vLLM:\n"
    if why := _not_for_vllm(config, form):
        yield f"vLLM does not take it as it is, for {why}; merge it into its base first (`python -m ftspace merge`)."
    else:
        revision = f" --revision {base.revision}" if base.url and base.revision else ""
        yield f"```sh\nvllm serve {_word(base.name)}{revision} --enable-lora \\"
        yield f"  --max-lora-rank {_rank(form.rank or config.lora.r)} --lora-modules tuned={here}\n```"


_asking = 'print(ask([{"role": "user", "content": "..."}], max_new_tokens=64)[0]["generated_text"][-1]["content"])'


def _with_peft(config: RunConfig, base: Origin, here: str, form: Form) -> Iterator[str]:
    at = f', revision="{base.revision}"' if base.url and base.revision else ""
    name = _quoted(base.name)
    trusted = ", trust_remote_code=True" if config.model.trust_code else ""
    held = f', dtype="{form.dtype}"' if form.dtype else ""
    yield "```python\nfrom peft import PeftModel\nfrom transformers import AutoModelForCausalLM, AutoTokenizer\n"
    yield f"base = AutoModelForCausalLM.from_pretrained({name}{at}{trusted}{held})"
    if form.own_tokenizer:
        yield f'tokenizer = AutoTokenizer.from_pretrained("{here}")'
        yield "if len(tokenizer) > base.get_input_embeddings().num_embeddings:"
        yield "    base.resize_token_embeddings(len(tokenizer))"
    else:
        yield f"tokenizer = AutoTokenizer.from_pretrained({name}{at}{trusted})"
    yield f'model = PeftModel.from_pretrained(base, "{here}").eval()\n'
    yield 'asked = [{"role": "user", "content": "..."}]'
    yield 'options = {"add_generation_prompt": True, "return_tensors": "pt", "return_dict": True}'
    yield "rows = tokenizer.apply_chat_template(asked, **options)"
    ends = f", eos_token_id={list(form.end_ids)}" if form.end_ids else ""
    yield f"written = model.generate(**rows, max_new_tokens=64{ends})"
    yield 'answer = written[0, rows["input_ids"].shape[1] :]'
    yield "print(tokenizer.decode(answer, skip_special_tokens=True))\n```"


def _not_for_vllm(config: RunConfig, form: Form) -> str:
    """What of it vLLM's LoRA does not know."""
    lora = config.lora
    if lora.method in PROMPTED:
        return "it is a trained prompt and no LoRA"
    found = {
        "it uses DoRA": lora.dora,
        "it brings modules that were trained whole": bool(lora.modules_to_save),
        "it brings trained rows of tokens": form.token_rows,
    }
    return next((why for why, so in found.items() if so), "")


def _rank(rank: int) -> int:
    """The least of vLLM's steps that holds a rank."""
    return next((step for step in (8, 16, 32, 64, 128, 256, 320, 512) if step >= rank), rank)


def _quoted(name: str) -> str:
    return json.dumps(" ".join(name.split()).replace("`", "'"))


def _word(name: str) -> str:
    return _quoted(name) if set(name) & set(" '\"`$\\&;|<>()") else name
