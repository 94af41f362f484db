"""What code deep inside may know of the request that is being answered, without being handed it.

A context variable follows the request through every coroutine and task that it starts, so a log line or an error can name
the request although neither the core nor the log knows HTTP. It is its own room, below all others: its writer (the HTTP
layer) and its readers (the log) must not know each other.
"""

from __future__ import annotations

import contextvars
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

# Empty by default, so that code outside of a request can read it too.
request_id: contextvars.ContextVar[str] = contextvars.ContextVar("request_id", default="")
"""The id of the request: in its response, in its error document, and in every log line about it; "" outside of one."""


class TraceContext(NamedTuple):
    """Which trace a request belongs to, and which span of the caller's sent it (W3C Trace Context): hexadecimal digits."""

    trace_id: str
    span_id: str


trace_context: contextvars.ContextVar[TraceContext | None] = contextvars.ContextVar("trace_context", default=None)
"""That of the request, and of a run that it started; None where the caller sent none."""


@contextmanager
def in_trace(trace: TraceContext | None) -> Iterator[None]:
    """The block, and the tasks that it starts, belong to ``trace``, whoever runs them."""
    token = trace_context.set(trace)
    try:
        yield
    finally:
        trace_context.reset(token)
