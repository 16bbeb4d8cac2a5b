"""Process Orchestrator: multi-step, multi-agent processes run by contracts, not blind calls."""

from typing import Final

__version__: Final = "0.1.0"
