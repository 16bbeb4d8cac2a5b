"""Hosts: make events durable, keep timers, carry commands to the performer. Never interpret or reorder."""
