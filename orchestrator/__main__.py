"""`python -m orchestrator`: the same as `fer-orch`."""

from orchestrator.cli import main

main()
