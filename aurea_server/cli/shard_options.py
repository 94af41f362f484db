"""Options of the commands that run something: in how many processes, how often, and on which machines."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any

from cyclopts import Parameter

from aurea_engine import Problem, RunSpec, SpecError
from aurea_engine.shards.split import Sharding
from aurea_server.cli.dask_options import DaskOptions


@Parameter(name="*")
@dataclass(frozen=True)
class ShardOptions:
    """In how many processes a run is executed, how often, and where."""

    processes: Annotated[str | None, Parameter(show_default=False)] = None
    "Number of processes that execute it as one run; auto is one for each core. Of virtual replications: how many at a time."

    on_loss: Annotated[str | None, Parameter(show_default=False)] = None
    "When a process is lost: fail ends the run, continue goes on without it. fail if not given."

    repeat: Annotated[str | None, Parameter(show_default=False)] = None
    "Number of replications, with derived seeds: every figure gets its interval. Virtual ones use all cores."

    until: Annotated[str | None, Parameter(show_default=False)] = None
    "Repeat until the interval of the mean response time is at most ± this wide, such as 1%; at most --repeat times, or 100."

    dask: DaskOptions = DaskOptions()

    def choose(self, written: Sharding | None = None) -> Sharding | None:
        """What the options say, and what is ``written`` in the file where they say nothing; None: once, in this process."""
        given = self.list_members()
        if not given:
            return written
        try:
            return _replace_given(written or Sharding(is_auto=True), given)
        except SpecError as error:
            raise SpecError(
                [problem._replace(path=f"--{problem.path.replace('_', '-')}") for problem in error.problems]
            ) from None

    def choose_for(self, spec: RunSpec, written: Sharding | None) -> Sharding | None:
        """The same for ``spec``. Raises SpecError, which names the option, where one is for parts of a run that has none."""
        sharding = self.choose(written)
        is_repeated = sharding is not None and sharding.repetition is not None
        options = (("--on-loss", self.on_loss), ("--dask", self.dask.dask))
        given = [name for name, value in options if value is not None]
        if given and spec.clock == "virtual" and self.processes is None and not is_repeated:
            text = "goes with a run in real time, or a repeated one: in virtual time a run takes one core"
            raise SpecError([Problem(name, text) for name in given])
        return sharding

    def list_members(self) -> dict[str, Any]:
        """The options that are given, as members of a file say the same."""
        given = {"processes": self.processes, "on_loss": self.on_loss, "repeat": self.repeat, "until": self.until}
        counts = ("processes", "repeat")
        return {
            name: _parse_count(value) if name in counts else value for name, value in given.items() if value is not None
        }

    def add_to(self, document: dict[str, Any]) -> dict[str, Any]:
        """``document`` with the members that say the same to whoever reads it."""
        return document | self.list_members()


def _replace_given(written: Sharding, given: dict[str, Any]) -> Sharding:
    """``written`` with what is ``given`` in its place; one of --repeat and --until leaves the other as it is written."""
    if written.repetition is not None and not {"repeat", "until"} <= given.keys():
        given = {"repeat": written.repetition.most, "until": written.repetition.until, **given}
    found = Sharding.of(**given)
    if "on_loss" not in given:
        found = replace(found, on_loss=written.on_loss)
    # --on-loss says nothing of a number.
    return found if "processes" in given else replace(found, processes=written.processes, is_auto=written.is_auto)


def _parse_count(text: str) -> object:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else text
