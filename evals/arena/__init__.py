"""Blind votes of people, and what they say of two sides and of a judge."""
