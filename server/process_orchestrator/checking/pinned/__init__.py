"""What a process has pinned, read back: compiled, with where its sensitive data goes. Reads bodies of no call."""
