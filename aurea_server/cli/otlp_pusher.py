"""The thread that pushes a run's metrics, so that no collector, however slow, is ever waited for by the run.

Between the run and the thread there is room for one standing, and a newer one replaces it. The thread encodes, sends, and
does what `Delivery` decides. It is a daemon: a command that must end at once does not wait for it.
"""

from __future__ import annotations

import gzip
import http.client
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import closing
from urllib.parse import urlsplit

from aurea_engine import engine_version
from aurea_server.cli.otlp_delivery import Delivery, Reply
from aurea_server.cli.otlp_settings import OtlpSettings
from aurea_server.metrics.otlp_protobuf import read_answer
from aurea_server.metrics.otlp_run import RunMetricsEncoder, Standing

MOST_READ = 64 * 1024
"""Bytes of an answer that are read."""

PAUSE = 0.0002
"""Seconds of rest after each metric. A thread that only computes gives Python's lock away after 5 ms, and so long the event
loop of the run would wait to release a job; one that sleeps gives it away at once.
"""

Post = Callable[[bytes], Reply]


class Pusher:
    """Pushes standings of one run. ``post``: sends a body, and never raises."""

    def __init__(self, encoder: RunMetricsEncoder, delivery: Delivery, post: Post) -> None:
        self._encoder, self._delivery, self._post = encoder, delivery, post
        self._changed = threading.Condition()
        # What is sent next: a standing, or a body that is to be sent again. The end of a run is encoded once, or it would be
        # counted twice.
        self._waiting: Standing | bytes | None = None
        self._busy = self._closing = self._gives_up = self._is_last_delivered = False
        threading.Thread(target=self._work, name="otlp", daemon=True).start()

    def offer(self, standing: Standing) -> None:
        """The run stands so now. Never waits."""
        with self._changed:
            self._waiting = standing
            self._changed.notify_all()

    def close(self, is_hurried: Callable[[], bool] = lambda: False) -> None:
        """Wait until what was offered last is delivered or given up, but not long; then say what failed. ``is_hurried``:
        asked again and again, and ends the waiting.
        """
        with self._changed:
            since, self._closing = time.monotonic(), True
            self._changed.notify_all()
            # In short steps, so that Ctrl-C is seen: a handler of signals runs only between them.
            while self._is_at_work(since) and not is_hurried():
                self._changed.wait(0.1)
            self._gives_up = True
            self._changed.notify_all()
            is_complete = self._is_last_delivered and self._waiting is None and not self._busy
            self._delivery.finish(is_complete=is_complete)

    def _is_at_work(self, since: float) -> bool:
        until = since + self._delivery.find_patience()
        # What may not be sent before the time is over need not be waited for.
        hopeful = not self._gives_up and (self._busy or self._is_due(until))
        return hopeful and time.monotonic() < until

    def _is_due(self, until: float) -> bool:
        return self._waiting is not None and self._delivery.not_before < until

    def _work(self) -> None:
        try:
            self._push_all()
        except Exception as error:  # noqa: BLE001 - a defect of ours: it ends the pushes, and the run goes on
            with self._changed:
                self._gives_up, self._busy, self._is_last_delivered = True, False, False
                self._delivery.abandon(_describe_defect(error))
                self._changed.notify_all()

    def _push_all(self) -> None:
        while (work := self._take()) is not None:
            body, reply = self._send(work)
            with self._changed:
                self._busy = False
                if self._gives_up:
                    return
                again = self._delivery.record(reply, time.monotonic())
                self._is_last_delivered = reply.is_delivered
                if again and self._waiting is None:
                    self._waiting = body
                self._changed.notify_all()

    def _send(self, work: Standing | bytes) -> tuple[bytes | None, Reply]:
        """The body, None where there is none, and what came of it."""
        try:
            body = work if isinstance(work, bytes) else self._encoder.encode(work, lambda: time.sleep(PAUSE))
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a figure, it costs a push and not the run
            return None, Reply(error=_describe_defect(error), is_final=True)
        return body, self._post(body)

    def _take(self) -> Standing | bytes | None:
        """What is to be sent, once it may be sent; None at the end."""
        with self._changed:
            while not self._gives_up:
                wait = self._delivery.not_before - time.monotonic()
                if self._waiting is not None and wait <= 0:
                    work, self._waiting, self._busy = self._waiting, None, True
                    return work
                if self._closing and self._waiting is None:
                    return None
                # For as long as a collector asks: that may be centuries, and more than can be waited for at once.
                self._changed.wait(min(wait, threading.TIMEOUT_MAX) if self._waiting is not None else None)
            return None


def _describe_defect(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def make_post(settings: OtlpSettings) -> Post:
    """What sends a body to where ``settings`` say."""
    parts = urlsplit(settings.url)
    # The system's certificates, or those of SSL_CERT_FILE. Read here: that takes longer than a push.
    context = ssl.create_default_context() if parts.scheme == "https" else None
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    headers = {"User-Agent": f"aurea/{engine_version()}", **settings.headers}
    headers["Content-Type"] = "application/json" if settings.is_json else "application/x-protobuf"
    if settings.is_compressed:
        headers["Content-Encoding"] = "gzip"

    def connect() -> http.client.HTTPConnection:
        assert parts.hostname is not None
        # With the port in any case: without one, the end of an IPv6 address is taken for it.
        if context is None:
            return http.client.HTTPConnection(parts.hostname, parts.port or 80, timeout=settings.timeout)
        return http.client.HTTPSConnection(parts.hostname, parts.port or 443, timeout=settings.timeout, context=context)

    def post(body: bytes) -> Reply:
        # A connection for each: one that is kept may be closed by the collector just when it is used again.
        try:
            with closing(connect()) as connection:
                content = gzip.compress(body, 5, mtime=0) if settings.is_compressed else body
                connection.request("POST", path, content, headers)
                with connection.getresponse() as response:
                    return _read_reply(response)
        except TimeoutError:
            return Reply(error=f"no answer within {settings.timeout:g} s")
        except (OSError, http.client.HTTPException) as error:
            return Reply(error=getattr(error, "strerror", None) or str(error) or type(error).__name__)
        except ValueError as error:  # a host that no name can be, for one: it will not become one
            return Reply(error=str(error) or type(error).__name__, is_final=True)

    return post


def _read_reply(response: http.client.HTTPResponse) -> Reply:
    status, content = response.status, response.read(MOST_READ)
    is_json = response.headers.get_content_type() == "application/json"
    answer = read_answer(content, accepted=status < 300, is_json=is_json)
    return Reply(status, response.headers.get("Retry-After", ""), answer)
