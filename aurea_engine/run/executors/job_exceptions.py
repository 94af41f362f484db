"""What happens when a job raises: it has failed, by the name of the exception's class, and the run goes on."""

# Whatever a job raises is the job's outcome and never leaves its executor, so the callers catch everything:
#
# - *SystemExit and KeyboardInterrupt* too. asyncio lets these two through: out of the event loop in a later step of a task,
#   out of the pump in an eager first one. A job that calls `sys.exit` is a job that failed, not the end of the program.
# - *CancelledError*, if the run did not cancel the job. It cancelled its own task, a child of it did, or it awaited
#   something that was cancelled: a failure like any other. Only a stop of the run makes a job cancelled, and then nobody
#   reads the log.
# - *InvalidReport*, which reading its report raises: what a job says of itself makes no sense.
#
# Two things are not the job's. The timeout that its limit or its deadline raised is the outcome *timed out*, also if the job
# took no notice of it. And a `StrategyError` of a pool of callbacks is a broken contract, which ends the run.

from __future__ import annotations

from aurea_engine.closed_sets import Outcome

# A plain int: it goes into a column, once for each failed job.
FAILED = int(Outcome.FAILED)


def name_failure(raised: BaseException) -> str:
    """The class under which a failure is counted: the exception's type, without its module and its message.

    A message often holds what differs from job to job, and there would be as many classes as failures.
    """
    return type(raised).__name__
