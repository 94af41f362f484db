"""Whether the other side of an idle connection has closed it, though the event loop has not yet said so."""

# The loop tells of a closed connection in its next round. What is sent within this round would go into the closed one, and
# fail as if the target had dropped a request. After some idleness, when servers close, one system call is worth it.

from __future__ import annotations

import asyncio
import select

_CLOSED = getattr(select, "POLLRDHUP", 0) | select.POLLHUP | select.POLLERR | select.POLLNVAL


def is_closed_by_peer(transport: asyncio.Transport) -> bool:
    """Costs about a microsecond."""
    sock = transport.get_extra_info("socket")
    number = -1 if sock is None else sock.fileno()  # None: uvloop's TLS has already released it
    if number < 0:
        return True
    poll = select.poll()
    poll.register(number, select.POLLIN | _CLOSED)
    events = sum(event for _, event in poll.poll(0))
    # With TLS a server may send what is no reply, such as tickets for later sessions. Without it there is nothing to read
    # but an end, or what was not asked for.
    is_plain = transport.get_extra_info("ssl_object") is None
    return bool(events & _CLOSED) or (is_plain and bool(events))
