"""Serves the page of `flame-ray report --live`: on loopback alone, under an address that holds a random token."""

import hmac
import secrets
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from rich.console import Console

from flame_ray.errors import ConfigError, FlameError
from flame_ray.shown import say

HOST = "127.0.0.1"
HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class LivePage:
    """The page, made again only when its version is another one. `make` takes the version that the page is to name."""

    def __init__(self, version: Callable[[], str], make: Callable[[str], str]):
        self._version, self._make = version, make
        self._lock = threading.Lock()
        self._made: tuple[str, bytes] | None = None

    def get(self, known: str | None = None) -> tuple[str, bytes | None]:
        """The version, and the page unless the version is `known`."""
        with self._lock:
            version = self._version()
            if version == known:
                return version, None
            if self._made is None or self._made[0] != version:
                self._made = version, self._make(version).encode()
            return self._made


def serve(page: LivePage, port: int, console: Console) -> None:
    """Prints the address and serves until Ctrl-C. Raises ConfigError if the port is taken, FlameError if there is no page."""
    page.get()
    with make_server(page, port, secrets.token_urlsafe(24)) as server:
        say(console, f"{server.address}  (Ctrl-C ends it)")
        try:
            server.serve_forever(poll_interval=0.2)
        except KeyboardInterrupt:
            console.print("ended", highlight=False, markup=False)


class PageServer(ThreadingHTTPServer):
    """Answers GET of its own address, and nothing else."""

    daemon_threads = True

    def __init__(self, page: LivePage, port: int, token: str):
        super().__init__((HOST, port), _Handler)
        self.page, self.path = page, f"/{token}/"
        self.hosts = {f"{name}:{self.server_port}" for name in (HOST, "localhost")}

    @property
    def address(self) -> str:
        return f"http://{HOST}:{self.server_port}{self.path}"


def make_server(page: LivePage, port: int, token: str) -> PageServer:
    try:
        return PageServer(page, port, token)
    except (OSError, OverflowError) as error:
        found = f"port {port}: {error}"
        raise ConfigError("a free port on 127.0.0.1 for --port", found, "give another one, or leave --port out") from error


class _Handler(BaseHTTPRequestHandler):
    """A page of another site, which a browser could bring to ask this server, knows no token and names another host."""

    server: PageServer
    server_version, sys_version = "flame-ray", ""
    timeout = 30

    def do_GET(self) -> None:
        if self.headers.get("Host") not in self.server.hosts or not _same(self.path, self.server.path):
            self._answer(HTTPStatus.NOT_FOUND, b"not found\n")
            return
        known = (self.headers.get("If-None-Match") or "").strip('"')
        try:
            version, text = self.server.page.get(known)
        except FlameError as error:
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, f"{error}\n".encode())
            return
        if text is None:
            self._answer(HTTPStatus.NOT_MODIFIED, b"", version)
        else:
            self._answer(HTTPStatus.OK, text, version, "text/html; charset=utf-8")

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the address would stand in the log."""

    def _answer(self, status: HTTPStatus, text: bytes, version: str = "", kind: str = "text/plain; charset=utf-8") -> None:
        self.send_response(status)
        for name, value in HEADERS.items():
            self.send_header(name, value)
        if version:
            self.send_header("ETag", f'"{version}"')
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


def _same(path: str, own: str) -> bool:
    """In a time that tells nothing of how much of it is right."""
    return hmac.compare_digest(path.encode("utf-8", "surrogateescape"), own.encode())
