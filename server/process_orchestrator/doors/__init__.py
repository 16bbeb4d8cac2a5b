"""Doors: how users come in. They only translate."""
