"""``aurea what-if``: a stored run, replayed in virtual time under another load, on other slots, at other prices."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter

from aurea_engine import (
    Catalog,
    Changes,
    JobBatch,
    RunResult,
    SpecError,
    default_catalog,
    encode_json,
    records_from_rows,
    spec_from_dict,
    what_if,
    what_if_to_dict,
)
from aurea_server.cli.exit_codes import choose_exit_code
from aurea_server.cli.input_files import parse_option
from aurea_server.cli.reprice import name_model, read_model
from aurea_server.cli.result_output import write_result
from aurea_server.cli.run_options import parse_quantity, parse_whole
from aurea_server.cli.signals import say_when_stopped
from aurea_server.cli.stored_results import StoredResult, read_stored, refuse_server_of_files
from aurea_server.cli.tables import show
from aurea_server.cli.what_if_report import render_answer
from aurea_server.stdio.output_files import check_output

FLAGS = {
    "rate": "--rate",
    "users": "--users",
    "arrivals": "--arrivals",
    "workload.arrivals": "--arrivals",
    "scheduler.slots": "--slots",
    "scheduler": "--scheduler",
    "workload.jobs": "--jobs",
    "jobs": "--jobs",
    "replays": "--replays",
}
"""Member of a specification, or argument of the engine's function → the option that a user knows it by."""


@Parameter(name="*")
@dataclass(frozen=True)
class ChangeOptions:
    """What is other than in the stored run."""

    rate: str | None = None
    "How many jobs arrive: a factor such as 2x, or jobs per second such as 320/s."

    users: Annotated[int | None, Parameter(converter=parse_whole)] = None
    "How many users there are, of a closed model."

    arrivals: str | None = None
    'Other arrivals, as JSON such as \'{"kind": "poisson", "rate": 320}\'.'

    slots: Annotated[int | None, Parameter(converter=parse_whole)] = None
    "How many jobs may be in service at once."

    scheduler: str | None = None
    "Another discipline: a kind such as shortest_first, or JSON; slots and queue limit stay unless given."

    jobs: Annotated[int | None, Parameter(converter=parse_whole)] = None
    "How many jobs arrive; as many as did, if not given."

    cost: Annotated[list[str] | None, Parameter(negative=())] = None
    "A cost model, as for aurea reprice. Give it more than once to compare."

    def make_changes(self, stored: StoredResult, catalog: Catalog) -> Changes:
        """Raises SpecError."""
        document: dict[str, Any] = {
            "workload": {"job": {"kind": "sleep"}, "jobs": 1 if self.jobs is None else self.jobs}
        }
        if self.arrivals is not None:
            document["workload"]["arrivals"] = parse_option(self.arrivals, "--arrivals")
        if self.scheduler is not None or self.slots is not None:
            document["scheduler"] = self._describe_scheduler(stored)
        # Read as a specification: kinds, members, bounds and messages are those of every other one.
        spec = spec_from_dict(document, catalog)
        return Changes(
            rate=None if self.rate is None else _read_rate(self.rate),
            users=self.users,
            arrivals=None if self.arrivals is None else spec.workload.arrivals,
            scheduler=spec.scheduler if "scheduler" in document else None,
            jobs=self.jobs,
            costs={name_model(text, i): read_model(text, catalog) for i, text in enumerate(self.cost or ())} or None,
        )

    def _describe_scheduler(self, stored: StoredResult) -> dict[str, Any]:
        """The recorded one with what is given; another discipline keeps its slots and limit only."""
        spec = stored.document.get("spec")
        recorded = spec.get("scheduler") if isinstance(spec, dict) else None
        described = dict(recorded) if isinstance(recorded, dict) else {}
        if self.scheduler is not None:
            is_json = self.scheduler.lstrip().startswith("{")
            given = parse_option(self.scheduler, "--scheduler") if is_json else {"kind": self.scheduler}
            kept = {name: described[name] for name in ("slots", "queue_limit") if name in described}
            described = {"kind": described.get("kind", "fifo"), **kept, **given}
        return described if self.slots is None else described | {"slots": self.slots}


def what_if_command(
    result: Path,
    /,
    *,
    changes: ChangeOptions = ChangeOptions(),
    seed: Annotated[int | None, Parameter(converter=parse_whole)] = None,
    replays: Annotated[int | None, Parameter(converter=parse_whole)] = None,
    json: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    server: str | None = None,
) -> int:
    """Replay a stored run in virtual time under another load, on other slots, at other prices. Nothing is sent anywhere.

    The service times that were measured come again, and the answer says what that assumes, and what in the stored run speaks
    against it. Exit codes: 0 objectives met; 2 bad input; 3 one missed; 6 not decided.

    Parameters
    ----------
    result
        A stored run: a file of ``aurea run -o`` or ``--json``, or the id of one in the history; ``-`` for stdin.
    seed
        Seed of arrivals and resampling; that of the stored run, if not given.
    replays
        How many replays the answer is made of, a multiple of 5 from 40 on.
    json
        Print JSON, and nothing else, on stdout.
    output
        Also write that JSON to a file; - is stdout.
    server
        The server whose history holds the id.
    """
    check_output(output, read=[result])
    refuse_server_of_files([result], server)
    catalog = default_catalog().with_entry_points()
    with say_when_stopped("the replay"):
        stored = read_stored(result, server)
        recorded = stored.to_result(catalog)
        with _name_options():
            answer = what_if(
                recorded,
                changes.make_changes(stored, catalog),
                records=_read_first_jobs(stored, recorded),
                seed=seed,
                replays=replays,
            )
    encoded = msgspec.json.format(encode_json(what_if_to_dict(answer, catalog)), indent=2) + b"\n"
    write_result(encoded, output, json=json, people=lambda: show(render_answer(answer)))
    # An objective that cannot be judged of a replay, such as one on a step, is left open and not met.
    left_out = len(recorded.spec.objectives) - len(answer.result.objectives)
    outcomes = [*(judged.outcome for judged in answer.result.objectives), *["inconclusive"] * left_out]
    return choose_exit_code(answer.result.status, answer.result.verdict, outcomes)


def _read_rate(text: str) -> float | str:
    number = parse_quantity(text)
    return text if isinstance(number, str) else float(number)  # type: ignore[arg-type]


def _read_first_jobs(stored: StoredResult, result: RunResult) -> JobBatch | None:
    """The jobs of a result that does not hold all of them: those of its first replication, or those that it begins with."""
    if result.jobs is not None or not result.spec.keep_jobs:
        return None
    if stored.parts:
        return stored.parts[0].records
    rows = stored.document.get("jobs")
    groups = tuple(group.name for group in result.groups if group.not_reached is None)
    return records_from_rows(rows, replace(result.spec.workload.schema, groups=groups)) if rows else None


@contextmanager
def _name_options() -> Iterator[None]:
    """Errors name the options of the command line."""
    try:
        yield
    except SpecError as error:
        raise SpecError([each._replace(path=_option_of(each.path)) for each in error.problems]) from None


def _option_of(path: str) -> str:
    for member, option in FLAGS.items():
        if path == member or path.startswith(f"{member}."):
            return f"{option} {path[len(member) :].lstrip('.')}".strip()
    return path
