"""A Space that asks a base and its tuned model the same question; see app.py."""
