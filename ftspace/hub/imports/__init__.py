"""A repository of the Hub as a run."""
