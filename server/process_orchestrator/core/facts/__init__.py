"""The small frozen facts that every room above the core speaks in: values, specs, events, commands."""
