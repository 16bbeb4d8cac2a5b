"""An assistant: it starts a server, submits a process, and waits for its end until it is killed.

assistant_program.py HOME     prints the id of the process
"""

import sys
from pathlib import Path

from acceptance.driving import document
from acceptance.wire import wired
from process_orchestrator.home import Home

path = Path(sys.argv[1])
with wired(Home(path=path, state=path / "state")) as server:
    given = {"document": document("straight.xml")}
    process_id = server.call("submit_process", process_type="invoice_approval", input=given)["process_id"]
    print(process_id, flush=True)
    while True:
        server.call("get_state", process_id=process_id, wait_s=20)
