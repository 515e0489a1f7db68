"""A push to the Hub: a process of its own, one commit, verified."""
