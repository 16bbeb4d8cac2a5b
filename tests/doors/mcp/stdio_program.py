"""A server program over the written-out use cases that also prints where nobody should."""

import os
import sys
from pathlib import Path

import anyio

from doors.mcp.fake_orchestrator import FakeOrchestrator
from process_orchestrator.doors.mcp_server import serve_stdio
from process_orchestrator.orchestrator import LOCAL
from process_orchestrator.views.models import Caller, ProcessView, SubmitRequest


class Noisy(FakeOrchestrator):
    async def submit(self, request: SubmitRequest, *, caller: Caller = LOCAL) -> ProcessView:
        print("noise from print")
        sys.__stdout__.write("noise from the first stdout")  # type: ignore[union-attr]
        os.write(1, b"noise on the descriptor\n")
        return await super().submit(request, caller=caller)


async def main() -> None:
    await serve_stdio(Noisy(), state_dir=Path(sys.argv[1]))
    print("noise at the end")


print("noise before", end="")
anyio.run(main)
print("noise after")
