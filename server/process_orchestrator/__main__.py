"""`python -m process_orchestrator` is the command `orchestrator`: what agent files start that need it themselves."""

from process_orchestrator.doors.cli.program import main

main()
