"""Step 5 of the page: push, export, deploy, and import."""
