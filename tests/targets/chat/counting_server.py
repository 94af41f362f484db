"""A model server that counts: a word is so many tokens, a template adds some, and answers are as long as they may be.

It keeps the bodies of its requests, and answers in a stream at once. It is for lengths and texts, not for times.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any


class CountingServer(ThreadingHTTPServer):
    """``per_word`` tokens a word of a prompt, and ``overhead``. An answer has ``shorter`` tokens less than it may.

    ``fails``: the numbers of requests that are answered with 500.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, per_word: int = 1, overhead: int = 0, shorter: int = 0, fails: tuple[int, ...] = ()) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.per_word, self.overhead, self.shorter, self.fails = per_word, overhead, shorter, fails
        self.bodies: list[dict[str, Any]] = []
        self.lock = Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def count(self, body: dict[str, Any]) -> int:
        """The tokens of a prompt."""
        texts = [message["content"] for message in body.get("messages", [])] or [body["prompt"]]
        return self.overhead + self.per_word * sum(len(text.split()) for text in texts)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body of an answer are written apart: without this each answer would wait for the client's delayed ACK.
    disable_nagle_algorithm = True
    server: CountingServer

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            number = len(self.server.bodies)
            self.server.bodies.append(body)
        if number in self.server.fails:
            self.send_response(500)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        # By the prompt's length, so that one can tell which answer was given to which prompt.
        output = max(1, body["max_tokens"] - self.server.shorter)
        tokens = self.server.count(body)
        usage = {"prompt_tokens": tokens, "completion_tokens": output}
        frames = [{"choices": [{"index": 0, "delta": {"content": f" answer{tokens}"}}]}] * output
        text = "".join(f"data: {json.dumps(frame)}\n\n" for frame in [*frames, {"choices": [], "usage": usage}])
        data = f"{text}data: [DONE]\n\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def serve(server: CountingServer) -> Iterator[CountingServer]:
    """While it is open, the server answers, in a thread."""
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
