"""Step 3 of the page: chat, many questions, blind votes."""
