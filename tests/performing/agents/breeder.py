"""An MCP agent that ignores the end of its stdin and has a child that leaves its process group."""

import json
import signal
import subprocess
import sys
import time

SLEEPER = "import time, sys; print('up', flush=True); time.sleep(3600)"
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", SLEEPER], start_new_session=True, stdout=subprocess.PIPE)
assert child.stdout is not None
child.stdout.readline()
for line in sys.stdin:
    message = json.loads(line)
    number, method = message.get("id"), message.get("method")
    if number is None:
        continue
    reply: dict[str, object] = {"jsonrpc": "2.0", "id": number}
    if method == "initialize":
        info = {"name": "breeder", "version": "1"}
        reply["result"] = {"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": info}
    elif method == "tools/call":
        reply["result"] = {"content": [], "structuredContent": {"child": child.pid}}
    else:
        reply["error"] = {"code": -32601, "message": "no such method"}
    print(json.dumps(reply), flush=True)
while True:
    time.sleep(3600)
