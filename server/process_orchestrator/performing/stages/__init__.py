"""The stages that may ask a language model: intake, planning, the paragraph of an escalation.

Each answers one command with one event. What a model says is checked here before it becomes an event, and checked
again, as a plan or an input, before anything is called.
"""
