"""One script for each claim of speed, memory or quality; each prints its figures as a ratio in the same run."""
