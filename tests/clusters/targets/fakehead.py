"""A dashboard of Ray that keeps what it is told: `python fakehead.py PORT TOKEN_FILE RECORD`, or a thread of a test."""

import json
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit


class FakeHead(ThreadingHTTPServer):
    """A head with a token, or, without one, one that lets everybody in; `jobs` are those that it was given."""

    def __init__(self, port: int, token: str | None, record: Path | None = None):
        super().__init__(("127.0.0.1", port), _Handler)
        self.token = token
        self.record = record
        self.jobs: dict[str, dict] = {}
        self.packages: list[str] = []
        self.nodes = [{"node_ip": "10.0.0.1", "state": "ALIVE", "resources_total": {"CPU": 4.0, "node:10.0.0.1": 1.0}}]

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def submit(self, request: dict) -> None:
        """Takes a job, which runs then."""
        self.jobs[request["submission_id"]] = request | {"status": "RUNNING", "type": "SUBMISSION", "start_time": 1000}
        if self.record:
            self.record.write_text(json.dumps(self.jobs))


class _Handler(BaseHTTPRequestHandler):
    server: FakeHead

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if not self._allowed():
            return
        if path == "/api/version":
            self._answer({"version": "4", "ray_version": "2.60.0", "ray_commit": "", "session_name": ""})
        elif path == "/api/v0/nodes":
            self._answer({"data": {"result": {"result": self.server.nodes}}})
        elif path == "/api/jobs/":
            self._answer(list(self.server.jobs.values()))
        elif path.endswith("/logs"):
            self._answer({"logs": "what it printed\n"})
        elif path.startswith("/api/jobs/"):
            self._answer(self.server.jobs[path.rpartition("/")[2]])
        else:
            # A package that nobody has sent yet.
            self._answer({}, 404)

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        if self._allowed():
            self.server.packages.append(self.path.rpartition("/")[2])
            self._answer({})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if not self._allowed():
            return
        if self.path.endswith("/stop"):
            self.server.jobs[self.path.split("/")[-2]]["status"] = "STOPPED"
            self._answer({"stopped": True})
            return
        request = json.loads(body)
        self.server.submit(request)
        self._answer({"job_id": request["submission_id"], "submission_id": request["submission_id"]})

    def _allowed(self) -> bool:
        if self.server.token is None or self.headers.get("Authorization") == f"Bearer {self.server.token}":
            return True
        self._answer({}, 401)
        return False

    def _answer(self, document: object, status: int = 200) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@contextmanager
def fake_head(token: str | None):
    """A head that listens on a free port."""
    with FakeHead(0, token) as head:
        thread = threading.Thread(target=head.serve_forever, daemon=True)
        thread.start()
        try:
            yield head
        finally:
            head.shutdown()


if __name__ == "__main__":
    FakeHead(int(sys.argv[1]), Path(sys.argv[2]).read_text(), Path(sys.argv[3])).serve_forever()
