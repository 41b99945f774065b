"""A web server on this machine, for programs that download files."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@contextmanager
def website(files: dict[str, bytes], requested: list[str] | None = None, cut: int = 0) -> Iterator[str]:
    """Serve files by name, and yield the server's address, which ends with a slash. Other names are answered with 404.

    The names that are requested are appended to ``requested``. With ``cut``, the connection ends that many bytes before
    the end of a file.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.removeprefix("/")
            if requested is not None:
                requested.append(name)
            if name not in files:
                self.send_error(404)
                return
            content = files[name]
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) - cut])

        def log_message(self, format: str, *arguments: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()
