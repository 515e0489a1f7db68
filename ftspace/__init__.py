"""ftspace: fine-tune a language model with LoRA and learn whether it got better. Run `python -m ftspace --help`."""

__version__ = "0.1.0"
