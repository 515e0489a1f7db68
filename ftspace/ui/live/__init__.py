"""A run at work, as the page shows it: state, curves, what may be done."""
