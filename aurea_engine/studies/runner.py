"""Where the runs of a study are executed: the contract, and the runner that executes them in this process."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from aurea_engine.engine import Stop, run
from aurea_engine.results.observers import Observer
from aurea_engine.results.result import RunResult
from aurea_engine.spec import RunSpec
from aurea_engine.workload.access import LOCAL_USER, Access


class Runner(Protocol):
    """**Protocol:** executes whole specifications for a study: in this process, in several, or somewhere else.

    A result must not depend on the runner: the seed is in the specification. ``width``: so many runs at once make good use
    of it; a study never asks for more at a time. Runs in real time measure each other when they share a machine, so there a
    runner is 1 wide.
    """

    width: int

    async def run(self, spec: RunSpec, observers: Iterable[Observer] = (), *, stop: Stop | None = None) -> RunResult:
        """The result of ``spec``, with its parts. Raises as `aurea_engine.run` does."""


class RunHere:
    """Executes runs in this process, one after the other. ``access``: what their jobs may reach."""

    width = 1

    def __init__(self, access: Access = LOCAL_USER) -> None:
        self._access = access

    async def run(self, spec: RunSpec, observers: Iterable[Observer] = (), *, stop: Stop | None = None) -> RunResult:
        return await run(spec, observers, stop=stop, access=self._access)
