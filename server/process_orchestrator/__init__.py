"""Process Orchestrator: multi-step, multi-agent processes run by contracts, not blind calls."""

__version__ = "0.1.0"
