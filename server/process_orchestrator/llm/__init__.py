"""The way to language models: one port, its implementations, prices. Knows no process, no plan, no agent.

What a model says is data: whoever asked validates it, journals it, and never executes it.
"""
