"""Plans held against definitions before anything runs: map, order, values, verdicts, budget; and what is compiled."""
