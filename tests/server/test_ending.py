"""How an end is made known, of a run as of a search: the same order, with the same care where the disk fails."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import pytest

from aurea_server.history import StoreError
from aurea_server.runs.active_run import ActiveOnes, RunAnswer
from aurea_server.runs.ending import Ends
from aurea_server.runs.events import EventLog, Feed, Followers


@dataclass(eq=False)
class Entry:
    """As little of a run, or of a search, as ends."""

    events: EventLog
    id: str = "entry-1"
    state: str = "running"
    ended: asyncio.Future[RunAnswer] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


COMPLETED = RunAnswer("completed", b"{}", None)


@dataclass(frozen=True)
class Finish:
    answer: RunAnswer = COMPLETED

    def summary(self) -> dict[str, object]:
        return {"status": self.answer.status}

    def with_storage_error(self, storage_error: StoreError | None) -> Finish:
        return replace(self, answer=replace(self.answer, storage_error=storage_error))


def begin(kind: Literal["run", "search"]) -> tuple[Ends[Entry], ActiveOnes[Entry], Entry]:
    followers = Followers(5)
    active: ActiveOnes[Entry] = ActiveOnes(followers, Feed(followers))
    entry = Entry(active.new_log("entry-1"))
    active.add(entry)
    return Ends(active, kind), active, entry


async def answer(with_error: StoreError | None) -> StoreError | None:
    return with_error


@pytest.mark.parametrize("kind", ["run", "search"])
async def test_an_end_is_told_to_all(kind: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    ends, active, entry = begin(kind)
    ends.publish(entry, await ends.store(entry, Finish(), answer(None)))
    assert (entry.state, entry.ended.result().status, entry.events.closed) == ("completed", "completed", True)
    assert active.get(entry.id) is None
    assert active.get_events(entry.id) is entry.events
    assert [(each.message, getattr(each, f"{kind}_id")) for each in caplog.records] == [
        (f"{kind} ended: completed", "entry-1")
    ]


@pytest.mark.parametrize("kind", ["run", "search"])
async def test_what_cannot_be_stored_stays_readable(kind: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Then this is the only place that has it."""
    ends, active, entry = begin(kind)
    error = StoreError("the disk is full")
    ends.publish(entry, await ends.store(entry, Finish(), answer(error)))
    assert active.get(entry.id) is entry
    assert entry.ended.result().storage_error is error
    assert f"a {kind}'s end could not be stored yet: the disk is full" in caplog.text


async def test_who_waits_hears_of_the_first_end() -> None:
    """A run whose end failed half-way is ended once more."""
    ends, _, entry = begin("run")
    ends.publish(entry, Finish())
    ends.publish(entry, Finish(RunAnswer("failed", b"{}", None)))
    assert entry.ended.result().status == "completed"
