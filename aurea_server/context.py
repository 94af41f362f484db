"""What code deep inside may know of the request that is being answered, without being handed it.

A context variable follows the request through every coroutine and task that it starts, so a log line or an error can name
the request although neither the core nor the log knows HTTP. It is its own room, below all others: its writer (the HTTP
layer) and its readers (the log) must not know each other.
"""

from __future__ import annotations

import contextvars

# Empty by default, so that code outside of a request can read it too.
request_id: contextvars.ContextVar[str] = contextvars.ContextVar("request_id", default="")
"""The id of the request: in its response, in its error document, and in every log line about it; "" outside of one."""
