"""The header ``traceparent`` (W3C Trace Context, level 1): which trace of the caller's a request belongs to.

It is taken strictly: what is not exactly as the specification says is as good as no header at all, so what comes into logs
and exemplars is hexadecimal digits and nothing else. The server makes no spans of its own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from aurea_server.context import TraceContext

_FORM = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?", re.ASCII)


def parse_traceparent(headers: Sequence[str]) -> TraceContext | None:
    """Of all headers of that name; None where they are not one valid header."""
    found = _FORM.fullmatch(headers[0]) if len(headers) == 1 else None
    if found is None:
        return None
    version, trace_id, span_id, more = found.groups()
    # Later versions may append members, which are not understood; of version 00 there are none, and ff is forbidden.
    if version == "ff" or (version == "00" and more is not None):
        return None
    # All zeros are the specification's own word for an invalid id.
    return TraceContext(trace_id, span_id) if int(trace_id, 16) and int(span_id, 16) else None
