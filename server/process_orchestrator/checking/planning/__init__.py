"""Plans that no file holds: the one call that closes a task, and what a model may propose and how it is judged."""
