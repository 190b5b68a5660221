"""Metrics for Prometheus over HTTP: for everybody who reaches the port, or only for those who show a token."""

import secrets
import socket
from collections.abc import Callable, Iterable
from pathlib import Path
from socketserver import ThreadingMixIn
from threading import Thread
from typing import TYPE_CHECKING, Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import prometheus_client

from leadline.runtime.settings import read_secret

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

# A client that sends nothing is let go after this.
REQUEST_SECONDS: Final = 10.0


def serve_metrics(host: str, port: int, token_file: Path | None) -> int:
    """Answer on a thread of its own, so that a blocked event loop shows as an old heartbeat and not as a failed scrape.

    `token_file` names the token that a reader shows as `Authorization: Bearer`; it is read at each request. Returns
    the port. Raises OSError when the address is taken.
    """
    app = prometheus_client.make_wsgi_app()
    guarded = app if token_file is None else _guarded(app, token_file)
    server = make_server(host, port, guarded, _Server, _Handler)
    Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return int(server.server_port)


def _guarded(app: Any, token_file: Path) -> "Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]]":
    def answer(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        scheme, _, shown = str(environ.get("HTTP_AUTHORIZATION", "")).partition(" ")
        expected = read_secret(token_file)
        if scheme.lower() == "bearer" and secrets.compare_digest(shown.strip().encode(), expected.encode()):
            found: Iterable[bytes] = app(environ, start_response)
            return found
        start_response("401 Unauthorized", [("WWW-Authenticate", "Bearer"), ("Content-Type", "text/plain")])
        return [b"metrics are read with the token of this stack: Authorization: Bearer <metrics.token>\n"]

    return answer


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def server_bind(self) -> None:
        # Who keeps the port for this server shares it with its own user and with nobody else.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        super().server_bind()


class _Handler(WSGIRequestHandler):
    timeout = REQUEST_SECONDS

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """A scrape every few seconds is nothing to log."""
