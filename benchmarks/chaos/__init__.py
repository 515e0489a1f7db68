"""Runs under attack: real training jobs whose processes are killed at random moments, and what is left of them."""
