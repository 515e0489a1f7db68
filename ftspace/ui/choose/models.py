"""A model's template and tokenizer, opened once for the several screens that show them. Knows no gradio and no rows."""

import time
from functools import lru_cache

from ftspace.chat import Template
from ftspace.config import RunConfig
from ftspace.hub.asker import asker
from ftspace.preflight import check_model
from ftspace.sections import ModelConfig
from ftspace.tokenizer import Opened, open_tokenizer, template_of_model

_MINUTES = 10
"""After so long the files are looked at again."""


def template_for(model: ModelConfig) -> tuple[Template, bool]:
    """The template that the model would be trained with, and whether it is its own. Raises ModelError, or HubError."""
    return _template(model.model_dump_json(), _moment())


def tokenizer_for(model: ModelConfig) -> Opened:
    """The tokenizer with that template. Raises ModelError, or HubError."""
    return _tokenizer(model.model_dump_json(), _moment())


@lru_cache(maxsize=8)
def _template(model: str, moment: str) -> tuple[Template, bool]:
    config = ModelConfig.model_validate_json(model)
    check_model(RunConfig(model=config))
    return template_of_model(config)


@lru_cache(maxsize=4)
def _tokenizer(model: str, moment: str) -> Opened:
    config = ModelConfig.model_validate_json(model)
    check_model(RunConfig(model=config))  # what another visitor had downloaded lies in the cache
    return open_tokenizer(config)


def _moment() -> str:
    return f"{time.time() // (60 * _MINUTES)} {asker()}"
