"""Base and tuned behind one OpenAI-compatible endpoint, in a child process, from one copy of the weights."""
