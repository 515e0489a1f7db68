"""What ftspace ships so that a first run needs no hub: a tiny base model, its recipe, datasets and tasks."""
