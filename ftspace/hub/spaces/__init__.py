"""Spaces: what they need, cost and hold, and how one is made."""
