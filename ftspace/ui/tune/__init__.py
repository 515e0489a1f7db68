"""Step 2 of the page: presets, settings, YAML, and what stands in the way."""
