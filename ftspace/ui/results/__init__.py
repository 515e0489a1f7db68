"""Step 4 of the page: the table, and the samples behind it."""
