"""The same agent over HTTP: POST /quotes with the order as JSON. Refuses with 422, breaks with 500."""

import argparse
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from quotes import RefusedError, quote


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two writes

    def do_GET(self) -> None:
        self.answer(200, {})

    def do_POST(self) -> None:
        order = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        try:
            self.answer(200, quote(order))
        except RefusedError as refused:
            code, _, message = str(refused).partition(": ")
            self.answer(422, {"error": code, "message": message})
        except Exception as error:  # noqa: BLE001  as frameworks do
            self.answer(500, {"message": f"Internal Server Error: {type(error).__name__}"})

    def answer(self, status: int, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  its signature
        pass


parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int, required=True)
ThreadingHTTPServer(("127.0.0.1", parser.parse_args().port), Handler).serve_forever()
