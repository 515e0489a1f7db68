"""Step 1 of the page: the base and the dataset, looked at before they are taken."""
