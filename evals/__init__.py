"""Is the tuned model better than its base, by how much, and can the number be trusted.

Stands alone: knows nothing of ftspace, of jobs or of any screen. Importing it costs nothing (no torch).
Run it: `python -m evals run --base MODEL --tuned ADAPTER --tasks a.jsonl,b.jsonl --out DIR`.
"""
