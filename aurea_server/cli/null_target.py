"""``aurea null-target``: an HTTP server that answers at once, to measure how fast a client can be."""

from __future__ import annotations

import asyncio
import signal
from typing import Annotated

from cyclopts import Parameter

from aurea_engine import Problem, SpecError, loop_factory
from aurea_engine.targets.null_target import BODY_BYTES, MOST_BODY_BYTES, serve_null_target
from aurea_server.cli.run_options import parse_whole
from aurea_server.stdio.standard_streams import write_out


def null_target_command(
    *,
    port: Annotated[int, Parameter(converter=parse_whole)] = 0,
    body_bytes: Annotated[int, Parameter(converter=parse_whole)] = BODY_BYTES,
) -> int:
    """Answer every HTTP request at once with 200, on the loopback address only, until SIGINT, SIGTERM or SIGHUP.

    It parses requests and does nothing else, so what a client measures against it is the client and the kernel. The address
    is printed on stdout when it listens.

    Parameters
    ----------
    port
        Port to listen on; 0 takes a free one.
    body_bytes
        Length of the body of each reply.
    """
    problems = []
    if not 0 <= port <= 65535:
        problems.append(Problem("--port", "must be 0 to 65535", str(port)))
    if not 0 <= body_bytes <= MOST_BODY_BYTES:
        problems.append(Problem("--body-bytes", f"must be 0 to {MOST_BODY_BYTES:,}", str(body_bytes)))
    if problems:
        raise SpecError(problems)
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        try:
            runner.run(_serve(port, body_bytes))
        except OSError as error:
            raise SpecError(
                [Problem("--port", f"cannot be listened on: {error.strerror or error}", str(port))]
            ) from None
    return 0


async def _serve(port: int, body_bytes: int) -> None:
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    # Before it listens: whoever has read the address may send the signal at once.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, ended.set)
    async with serve_null_target("127.0.0.1", port, body_bytes) as (_, taken):
        write_out(f"http://127.0.0.1:{taken}/\n".encode())
        await ended.wait()
