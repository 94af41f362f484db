"""What chats ask: prompts that are written out, read from a file, made to a length, or as long as those of a trace."""
