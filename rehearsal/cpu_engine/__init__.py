"""A real vLLM on this machine's CPU, and models so small that it can serve them there."""
