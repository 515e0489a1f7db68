"""Runs as jobs of the Hub: what they cost, what goes there, how one is submitted, followed, stopped and fetched."""
