"""Models and datasets of the Hub: searched, looked up, and what is known of them."""
