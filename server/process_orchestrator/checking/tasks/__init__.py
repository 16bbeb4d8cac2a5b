"""A task in plain words: its type, what it asks of the process, what of an input stands in it. All by rule."""
