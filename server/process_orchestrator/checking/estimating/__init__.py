"""What a process costs before it runs: figures that were given, what its plan can call, what earlier runs took.

A storey above `plans`: it reads checked plans and pinned contracts, and nothing of how a plan was made. It is a room of
its own and no part of planning, since a price is asked for far more often than a plan, of runs that are over too, and
never needs a model. Pure: prices, runs and figures are handed in. Money is whole micro-dollars or an exact fraction of
one until the end.
"""
