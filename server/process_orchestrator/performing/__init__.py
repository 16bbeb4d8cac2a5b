"""The data plane: carries out commands. Resolves bindings, validates against contracts, calls agents."""
