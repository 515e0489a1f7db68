"""The chat template of a model that is not loaded: moved to `ftspace.tokenizer`."""

from ftspace.tokenizer import template_of_model

__all__ = ["template_of_model"]
