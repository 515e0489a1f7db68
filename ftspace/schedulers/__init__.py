"""A run as a file for a scheduler of other machines: SkyPilot, Slurm, or plain torchrun. None of them is imported."""
