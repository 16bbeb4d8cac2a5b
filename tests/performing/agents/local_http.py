"""A local HTTP agent that is started and supervised: `local_http.py PORT`. Standard library only."""

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Desk(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/die":
            print("dying now", file=sys.stderr, flush=True)
            os._exit(4)
        data = json.dumps({"pid": os.getpid()}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Say nothing."""


if sys.argv[1] == "never":
    print("no licence", file=sys.stderr)
    raise SystemExit(5)
ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Desk).serve_forever()
