"""Jobs that ask a language model over the OpenAI-compatible interface, and follow its answers token by token."""
