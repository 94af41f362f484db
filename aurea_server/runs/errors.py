"""What can go wrong with a run, in the core's own terms: no status codes, no headers.

RunError
├── Stopping              the server takes no new runs
├── QueueFull             as many wait as may
├── NotFound              no run has that id
├── NotEnded              the run is queued or running, and this needs one that has ended
├── AlreadyEnded          the run has ended, and this needs one that has not
├── NoSuchSearch          no search has that id
├── SearchNotEnded        the search is queued or running, and this needs one that has ended
├── SearchEnded           the search has ended, and this needs one that has not
├── PartOfSearch          the run is a trial, and what was asked can only be done to its search
├── NoResult              the run or search ended without a result that could be priced, compared or drawn
├── StrategyFailed        a strategy of an installed package failed while the specification was checked
├── NotPriceable          a cost model cannot price the run
├── ComparisonFailed      two runs could not be compared
├── ReportFailed          the report of a run could not be made
├── TooManyReaders        as many read records as may
├── TooManyFollowers      as many follow events as may
└── FollowerLagged        a follower fell behind by more events than are kept

Beside them the core lets through what it did not cause: `SpecError` (the specification is wrong) and the tree of
`aurea_server.history.errors` (the history is). ``http/problems.py`` maps all of these to responses, in one table.
"""

from __future__ import annotations

from aurea_engine import AureaError


class RunError(AureaError):
    """The root: the text is one sentence for the client.

    ``retry_after``: seconds after which the same request may succeed; None if waiting does not help.
    """

    # A property of the situation and not of a protocol: HTTP writes it as Retry-After.
    retry_after: int | None = None


class Stopping(RunError):
    """The server is stopping. Another one behind the same address may take the request at once."""

    retry_after = 5

    def __init__(self) -> None:
        super().__init__("The server is stopping and takes no new runs.")


class QueueFull(RunError):
    """Of runs, or of work that is done one at a time, such as checking specifications of installed packages."""

    def __init__(self, sentence: str, retry_after: int = 5) -> None:
        super().__init__(sentence)
        self.retry_after = retry_after


class NotFound(RunError):
    """It never existed, or was deleted, by a client or by retention."""

    def __init__(self, run_id: str | None = None) -> None:
        super().__init__("There is no such run." if run_id is None else f"There is no run {run_id}.")


class NoSuchSearch(RunError):
    """It never existed, or was deleted, by a client or by retention."""

    def __init__(self) -> None:
        super().__init__("There is no such search.")


class NotEnded(RunError):
    """The text says what has to wait for its end."""


class AlreadyEnded(RunError):
    """``state``: how it ended."""

    # The state is part of the sentence, since a client that lost the race wants to know what happened instead.
    def __init__(self, state: str) -> None:
        super().__init__(f"The run has already ended: {state}.")


class SearchNotEnded(RunError):
    """The text says what has to wait for its end; a search is deleted only then."""

    def __init__(self, sentence: str = "The search has not ended: cancel it first.") -> None:
        super().__init__(sentence)


class SearchEnded(RunError):
    """``state``: how it ended."""

    def __init__(self, state: str) -> None:
        super().__init__(f"The search has already ended: {state}.")


class PartOfSearch(RunError):
    """A trial ends with its search, and is deleted with it."""

    def __init__(self, search_id: str) -> None:
        super().__init__(f"The run is a trial of {search_id}: cancel or delete that search.")


class NoResult(RunError):
    """It was never measured to the end, so there is nothing to price or to compare."""

    def __init__(self, sentence: str = "The run has no result that could be priced.") -> None:
        super().__init__(sentence)


class StrategyFailed(RunError):
    """It raised, ended its process or did not answer in time; the text says which."""

    def __init__(self, detail: str) -> None:
        super().__init__(f"A strategy of an installed package failed: {detail}")


class NotPriceable(RunError):
    """The model failed, or needs records that were not kept; the text says which."""


class ComparisonFailed(RunError):
    """Its process ran out of time or memory, or died; the text says which."""

    retry_after = 10

    def __init__(self, detail: str) -> None:
        super().__init__(f"The runs could not be compared: {detail}")


class ReportFailed(RunError):
    """Its process ran out of time or memory, or died; the text says which."""

    retry_after = 10

    def __init__(self, detail: str) -> None:
        super().__init__(f"The report could not be made: {detail}")


class TooManyReaders(RunError):
    """Decoding the records of a large run takes tens of megabytes, so few may do it at a time."""

    retry_after = 5

    def __init__(self) -> None:
        super().__init__("Too many clients are reading the jobs of runs; try again later.")


class TooManyFollowers(RunError):
    """Each follower holds a connection for as long as the run lasts."""

    retry_after = 5

    def __init__(self) -> None:
        super().__init__("Too many clients follow events already.")


class FollowerLagged(RunError):
    """The log never waits for a follower: it drops old events, and a follower that missed some is disconnected with this."""

    def __init__(self) -> None:
        super().__init__("The follower fell behind by more events than are kept.")
