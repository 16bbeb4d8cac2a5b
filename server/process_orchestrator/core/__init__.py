"""The pure core: what happened (events) in, what must be done (commands) out. No clock, no I/O, no randomness."""
