"""Bindings and expressions: how they are written, read, typed and evaluated. Knows no plan."""
