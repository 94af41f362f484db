"""Options of the commands that run something here: in how many processes, and on which machines."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any

from cyclopts import Parameter

from aurea_engine import SpecError
from aurea_engine.shards.split import Sharding
from aurea_server.cli.dask_options import DaskOptions


@Parameter(name="*")
@dataclass(frozen=True)
class ShardOptions:
    """In how many processes a run is executed, and where."""

    processes: Annotated[str | None, Parameter(show_default=False)] = None
    "Run it in so many processes at once, as one run; auto is one for each core."

    on_loss: Annotated[str | None, Parameter(show_default=False)] = None
    "What happens when one of them is lost: fail ends the run, continue goes on without it. fail if not given."

    dask: DaskOptions = DaskOptions()

    def choose(self, written: Sharding | None = None) -> Sharding | None:
        """What the options say, and what is ``written`` in the file where they say nothing; None: in this process."""
        if self.processes is None and self.on_loss is None:
            return written
        given = written or Sharding()
        processes: object = given.processes if self.processes is None else _parse_processes(self.processes)
        # --on-loss says nothing of a number.
        is_auto = self.processes in (None, "auto") and (written is None or written.is_auto)
        try:
            return replace(Sharding.of(processes, self.on_loss or given.on_loss), is_auto=is_auto)
        except SpecError as error:
            raise SpecError(
                [problem._replace(path=f"--{problem.path.replace('_', '-')}") for problem in error.problems]
            ) from None

    def add_to(self, document: dict[str, Any]) -> dict[str, Any]:
        """``document`` with the members that say the same to whoever reads it."""
        given = {"processes": self.processes, "on_loss": self.on_loss}
        members: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        if self.processes is not None:
            members["processes"] = _parse_processes(self.processes)
        return document | members


def _parse_processes(text: str) -> object:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else text
