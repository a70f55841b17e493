"""A stand-in of a cloud's metadata service on this machine: it demands what the cloud demands, and fails as told."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ACTION = "/latest/meta-data/spot/instance-action"
REBALANCE = "/latest/meta-data/events/recommendations/rebalance"
TOKEN = "/latest/api/token"
PREEMPTED, MAINTENANCE = (f"/computeMetadata/v1/instance/{name}" for name in ("preempted", "maintenance-event"))
HANGS = 0  # in place of a status


class MetadataService:
    """`answers`: path -> status and text; 404 for all others. `tokens`: those that it has given out, the valid one last."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, str]] = {}
        self.asked: list[str] = []
        self.tokens: list[str] = []
        self.released = threading.Event()
        self.url = ""

    def says(self, path: str, text: object, status: int = 200) -> None:
        self.answers[path] = (status, text if isinstance(text, str) else json.dumps(text))

    def expire_token(self) -> None:
        self.tokens.append("none knows this one")

    def _answer(self, method: str, path: str, headers) -> tuple[int, str]:
        self.asked.append(path)
        if path in self.answers and self.answers[path][0] != 200:
            return self.answers[path]
        if path == TOKEN:
            if method != "PUT" or not headers["X-aws-ec2-metadata-token-ttl-seconds"]:
                return 400, ""
            self.tokens.append(f"token {len(self.tokens)}")
            return 200, self.tokens[-1]
        if path.startswith("/latest") and headers["X-aws-ec2-metadata-token"] not in self.tokens[-1:]:
            return 401, ""
        if path.startswith("/computeMetadata") and headers["Metadata-Flavor"] != "Google":
            return 403, ""
        return self.answers.get(path, (404, ""))


@contextmanager
def metadata_service() -> Iterator[MetadataService]:
    service = MetadataService()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, text = service._answer(self.command, self.path, self.headers)
            if status == HANGS:
                service.released.wait()
                return
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        do_PUT = do_GET

        def log_message(self, *ignored) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    service.url = f"http://127.0.0.1:{server.server_port}"
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    serving.start()
    try:
        yield service
    finally:
        service.released.set()
        server.shutdown()
        server.server_close()
        serving.join()
