"""What ``aurea run`` runs: a specification from a file or from options, and the options that change it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter, Token

from aurea_engine import Catalog, Problem, RunSpec, SpecError, inline_files, spec_from_dict
from aurea_engine.errors import LITERAL_CREDENTIAL
from aurea_engine.shards.split import Sharding
from aurea_server.cli.credentials import take_credentials
from aurea_server.cli.shard_options import ShardOptions
from aurea_server.cli.stored_results import read_document

_PLAIN = re.compile(r"-?[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,3})?", re.ASCII)


def parse_whole(_: object, tokens: Sequence[Token]) -> int:
    # cyclopts would take 1e4 and 10.0 for whole numbers, and 10k for a bug in its caller.
    text = tokens[0].value
    if re.fullmatch(r"[+-]?[0-9]{1,40}", text, re.ASCII) is None:
        raise ValueError(f"{text!r} is no whole number: write it out, such as 10000 for 10k")
    return int(text)


@Parameter(name="*")
@dataclass(frozen=True)
class RunOptions:
    """Options of ``aurea run``: what to run where no file says it, and what to change of a file that does."""

    jobs: Annotated[int | None, Parameter(converter=parse_whole)] = None
    "How many jobs to run, in place of a file: all at once, or at --rate."

    duration_ms: float | None = None
    "Sleep time of each job, in milliseconds; 100 if not given."

    rate: str | None = None
    "How many of them arrive, evenly, such as 500/s; of a file, the rate of its arrivals."

    duration: str | None = None
    "For how long jobs arrive, such as 2m; without a unit, seconds."

    warmup: str | None = None
    "How much of the beginning to leave out of the figures, such as 10s, or auto."

    slots: int | None = None
    "How many jobs may be in service at once."

    seed: int | None = None
    "Seed of all random streams."

    label: str | None = None
    "A name for the result."

    virtual: Annotated[bool, Parameter(negative=())] = False
    "Simulate in virtual time."

    def make_spec(self, file: Path | None, catalog: Catalog) -> tuple[RunSpec, dict[str, str], Sharding | None]:
        """The specification that file and options make together, the values of credentials that stood in the file, and in
        how many processes and how often the file says that it is to be run.

        Names stand in the place of credentials, so that no result has them. Raises SpecError.
        """
        read, sharding = Sharding.take_from(self._read_data(file))
        data, taken = take_credentials(self._apply(read))
        # Seed, label and clock are put in afterwards: the constructor judges them, and its message names the option.
        built = spec_from_dict(data, catalog)
        changes: dict[str, Any] = {"clock": "virtual"} if self.virtual else {}
        changes |= {name: value for name in ("seed", "label") if (value := getattr(self, name)) is not None}
        return replace(built, **changes), {each.variable: each.value for each in taken}, sharding

    def make_data(self, file: Path | None, server: str, shards: ShardOptions) -> Any:
        """The same as plain data, for a server: it may know kinds that this machine does not. Raises SpecError."""
        # A server may not read files of this machine: recorded times are sent in their place. Credentials are sent nowhere.
        data = inline_files(self._apply(self._read_data(file, server)))
        if taken := take_credentials(data)[1]:
            raise SpecError([Problem(each.purpose, LITERAL_CREDENTIAL) for each in taken])
        if not isinstance(data, dict):
            return data
        changes: dict[str, Any] = {"clock": "virtual"} if self.virtual else {}
        changes |= {name: value for name in ("seed", "label") if (value := getattr(self, name)) is not None}
        return shards.add_to(data | changes)

    def _read_data(self, file: Path | None, server: str | None = None) -> Any:
        by_rate = self.rate is not None and self.duration is not None
        enough = self.jobs is not None or by_rate if file is None else self.jobs is None
        if not enough:
            raise SpecError("give either a specification file, or --jobs, or --rate and --duration")
        if file is None:
            return self._make_short_form()
        if self.duration_ms is not None:
            raise SpecError("--duration-ms goes with --jobs, not with a file")
        return extract_specification(read_document(file, server))

    def _make_short_form(self) -> dict[str, Any]:
        if self.rate is None:
            if self.duration is not None:
                raise SpecError("--duration needs a --rate: without it all jobs arrive at once")
            return {"num_jobs": self.jobs} | ({} if self.duration_ms is None else {"job_duration_ms": self.duration_ms})
        # The rate is filled in with the others by `_apply`, which judges it too.
        ms = Decimal(100) if self.duration_ms is None else Decimal(repr(self.duration_ms))
        job = {"kind": "sleep", "duration": ms / 1000}
        return {"workload": {"job": job, "arrivals": {"kind": "constant", "rate": None}, "jobs": self.jobs}}

    def _apply(self, data: Any) -> Any:
        """``data`` with the other options in it. Raises SpecError."""
        # Anything but an object is no specification; the codec reports that, with all other problems.
        if not isinstance(data, dict):
            return data
        if self.slots is not None:
            data = {**data, "scheduler": {**_find_object(data, "scheduler"), "slots": self.slots}}
        if self.warmup is not None:
            data = {**data, "warmup": parse_quantity(self.warmup)}
        if self.rate is not None or self.duration is not None:
            data = {**data, "workload": self._apply_times(data.get("workload"))}
        return data

    def _apply_times(self, workload: Any) -> Any:
        if not isinstance(workload, dict):
            raise SpecError("--rate and --duration go with a workload, not with num_jobs, which all arrive at once")
        if self.duration is not None:
            workload = {**workload, "duration": parse_quantity(self.duration)}
        if self.rate is not None:
            # Only where there is a rate to change: ramps and stages have several, and the option does not say which.
            arrivals = _find_object(workload, "arrivals")
            if "rate" not in arrivals:
                raise SpecError("--rate goes with arrivals that have a rate: constant, poisson, gamma")
            workload = {**workload, "arrivals": {**arrivals, "rate": parse_quantity(self.rate)}}
        return workload


def _find_object(data: dict[str, Any], name: str) -> dict[str, Any]:
    found = data.get(name)
    return found if isinstance(found, dict) else {}


def parse_quantity(text: str) -> object:
    """A number where it is one, else the text, which is read as in a file."""
    # As a decimal, so that 0.1 is a tenth; a text with a unit has its reader in the engine.
    return Decimal(text) if _PLAIN.fullmatch(text) else text


def extract_specification(data: Any) -> Any:
    """The specification in ``data``, which is one, or a result: with its seed, so that the run can be repeated."""
    if isinstance(data, dict) and "benchmark_id" in data and isinstance(data.get("spec"), dict):
        return data["spec"]
    return data
