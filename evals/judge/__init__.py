"""Lets models judge answers: which of two is better, asked in both orders, or how good one is from 1 to 10.

Reads the logs of an evaluation and asks judges behind endpoints or on this machine. A judge's words are evidence, not
truth: its failures are missing, never ties, and its leanings stand beside what it says.
Run it: `python -m evals judge DIR --judge http://host:8000/v1#model`.
"""
