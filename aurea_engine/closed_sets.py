"""Every closed set: the words that a result, a label, an exit code or a page may use, each written once.

The sets are here, in the lowest room beside the errors, so that everything can import them: the engine's types, the codec,
the labels of Prometheus, the enumerations of OpenAPI and the tables of ``docs/``, which a test compares with this file.
A word that was ever stored or published is never taken away and never changes its meaning; a new one goes at the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from fractions import Fraction
from types import MappingProxyType
from typing import Literal, get_args

# --- A run -----------------------------------------------------------------------------------------------------------

Status = Literal["completed", "failed", "cancelled", "timed_out", "aborted", "interrupted"]
"""How a run ended."""
STATUSES: tuple[Status, ...] = get_args(Status)

ActiveState = Literal["queued", "running"]
State = Literal[ActiveState, Status]
"""What a run that a server knows is doing, or how it ended."""
ACTIVE_STATES: tuple[ActiveState, ...] = get_args(ActiveState)
STATES: tuple[State, ...] = (*ACTIVE_STATES, *STATUSES)

ReasonCode = Literal[
    "invalid_spec",
    "memory",
    "objective_lost",
    "runner_died",
    "runner_unresponsive",
    "server_crashed",
    "server_stopped",
    "shard_lost",
    "stop_requested",
    "storage",
    "strategy",
    "time_limit",
]
REASONS: Mapping[ReasonCode, str] = MappingProxyType(
    {
        "invalid_spec": "the specification cannot be run",
        "memory": "the runner process reached its memory limit",
        "objective_lost": "an objective that ends the run could no longer be met",
        "runner_died": "the runner process ended by itself: it exited, crashed, or was killed from outside",
        "runner_unresponsive": "the runner process did not stop when asked, and was killed",
        "server_crashed": "the server ended without a stop during the run",
        "server_stopped": "the server was stopped during the run",
        "shard_lost": "the parts of some shards of the run are missing",
        "stop_requested": "the caller stopped the run",
        "storage": "the result could not be written to the history, or not be read from it",
        "strategy": "a strategy broke its contract, or something that is not a job raised",
        "time_limit": "the run reached the server's time limit",
    }
)
"""Why a run did not complete, with the meaning of each code."""

# What ended a run where nothing more is known than its status. A run that completed needs no reason.
USUAL_REASON: Mapping[Status, ReasonCode] = MappingProxyType(
    {
        "failed": "strategy",
        "cancelled": "stop_requested",
        "timed_out": "time_limit",
        "aborted": "objective_lost",
        "interrupted": "server_stopped",
    }
)


@dataclass(frozen=True)
class Reason:
    """Why a run did not complete: ``code`` for programs, ``detail`` for people."""

    code: ReasonCode
    detail: str

    @classmethod
    def usual(cls, status: Status) -> Reason | None:
        """The reason that a status by itself implies; None for a run that completed."""
        code = USUAL_REASON.get(status)
        return None if code is None else cls(code, REASONS[code])


RunClock = Literal["real", "virtual"]
RUN_CLOCKS: tuple[RunClock, ...] = get_args(RunClock)

RUN_ID_PATTERN = "benchmark-[0-9]{1,19}"
"""The id of a run as a regular expression without anchors: ``fullmatch`` it."""

SEARCH_ID_PATTERN = "search-[0-9]{1,19}"
"""The same for the id of a search of a server."""

# --- A job -----------------------------------------------------------------------------------------------------------

ExecutorName = Literal["timers", "tasks", "cpu_workers", "callbacks"]
"""What does the work of a kind of job in real time.

``timers``: nothing but the demand has to pass; `Job.run` is never called. ``tasks``: each job is an asyncio task.
``cpu_workers``: the same for work that needs this machine's processors, such as processes that burn CPU time: the generator
does not spin on the clock beside it, and releases jobs to a millisecond or two. ``callbacks``: a `CallbackPool`, which
`Job.opened` yields, does the jobs without a task for each.
"""
EXECUTORS: tuple[ExecutorName, ...] = get_args(ExecutorName)


class Outcome(IntEnum):
    """How a job ended. ``PENDING`` has not ended yet; ``ABANDONED`` left the queue when its patience was over.

    The numbers are stored in the records of runs: a new outcome takes the next one.
    """

    PENDING = 0
    COMPLETED = 1
    FAILED = 2
    TIMED_OUT = 3
    REJECTED = 4
    CANCELLED = 5
    ABANDONED = 6


FINAL = tuple(outcome for outcome in Outcome if outcome is not Outcome.PENDING)
OUTCOMES = tuple(outcome.name.lower() for outcome in FINAL)
"""How a job may have ended, as it is written in JSON, CSV and labels."""

UNCLASSED: Mapping[int, str] = MappingProxyType({Outcome.FAILED: "InjectedFailure", Outcome.TIMED_OUT: "timeout"})
"""What a job that failed or timed out is counted as where nobody named a class. A failure that the workload injects
(`Faulty`) raises nothing.
"""

FAILURE_CLASSES: Mapping[str, str] = MappingProxyType(
    {
        "dns": "the name of the target could not be resolved",
        "refused": "the target refused the connection",
        "unreachable": "there was no way to the target, or to none of its addresses",
        "connect_timeout": "no connection was made within the limit for it",
        "tls": "the TLS handshake failed, or a certificate was not accepted",
        "reset": "the connection was reset",
        "closed_early": "the target closed the connection before its answer was complete",
        "timeout": "the job reached its limit; its outcome is timed_out",
        "protocol": "the answer was not valid HTTP, or not an answer to this request",
        "too_large": "the answer, or a part of it, was larger than allowed",
        "redirects": "there were more redirects than allowed, or one that cannot be followed",
        "status": "the status was not an expected one",
        "check": "the answer did not pass a check of its content",
        "extract": "the answer did not hold what was to be extracted from it",
        "stream_error": "the target reported an error within a stream that had begun",
        "target_not_allowed": "the target is not among those that this process may reach",
        "local": "the client itself was at fault: no descriptor, port or memory, or a value that no header can hold",
    }
)
"""Why a job that sends requests failed, with the meaning of each class. A user's own job fails by the type of its exception,
and of these only so many are told apart (`MOST_FAILURE_CLASSES`).
"""

MOST_FAILURE_CLASSES = 50
"""Classes of failures that a run tells apart by their own names; any others are counted as `OTHER`."""

STATUS_CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx", "other", "none")
"""Classes of the status that a target answered with; ``none``: the request failed before there was one."""

TOKEN_CLASSES = ("input", "cached", "output")
"""Tokens of language models as they are billed: ``input`` are those of prompts that were not ``cached``."""

MOST_FAILURE_NAME = 128
"""Characters of the name of a class; a longer one is cut."""

# --- Judgement -------------------------------------------------------------------------------------------------------

Verdict = Literal["valid", "degraded", "invalid"]
"""Whether a measurement can be trusted."""
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)


class Severity(IntEnum):
    """``NOTE`` leaves the verdict alone, ``DEGRADED`` means use with care, ``INVALID`` do not use.

    The number is the place of the verdict that a finding of this severity leads to in `VERDICTS`.
    """

    NOTE = 0
    DEGRADED = 1
    INVALID = 2


SEVERITIES = tuple(severity.name.lower() for severity in Severity)

ObjectiveOutcome = Literal["met", "missed", "inconclusive"]
OBJECTIVE_OUTCOMES: tuple[ObjectiveOutcome, ...] = get_args(ObjectiveOutcome)

CapacityStatus = Literal["found", "at_least", "at_most", "infeasible", "generator_limited", "undecided"]
CAPACITY_STATUSES: Mapping[CapacityStatus, str] = MappingProxyType(
    {
        "found": "the objectives hold at the value and were verified there, and a value next to it fails",
        "at_least": "the answer is this or more: the search was not allowed to go further up",
        "at_most": "the answer is this or less: the search was not allowed to go further down",
        "infeasible": "the objectives do not hold at any value",
        "generator_limited": "the load generator, and not the system, set the limit",
        "undecided": "the search ended without an answer; what it knows is in its interval",
    }
)
"""How a capacity search ended, with the meaning of each status."""

CapacityVariable = Literal["rate", "slots"]
"""What a capacity search varies: the largest rate, in jobs per second, or the fewest slots."""
CAPACITY_VARIABLES: tuple[CapacityVariable, ...] = get_args(CapacityVariable)

SearchPhase = Literal["probe", "bracket", "bisect", "confirm", "verify", "confirm_real"]
"""What a trial of a capacity search is for, in the order of a search."""
SEARCH_PHASES: tuple[SearchPhase, ...] = get_args(SearchPhase)

TrialOutcome = Literal["passed", "failed", "limited", "measured"]
"""What a trial says of its value: the objectives held, or did not; ``limited``: the generator was the limit, so it says
nothing; ``measured``: it was not to be judged.
"""
TRIAL_OUTCOMES: tuple[TrialOutcome, ...] = get_args(TrialOutcome)

CostBasis = Literal["measured", "projected"]
"""Where the cost of a million good jobs comes from: the bills of the verifying runs, or a fleet projected at the rate."""
COST_BASES: tuple[CostBasis, ...] = get_args(CostBasis)

FINDING_CODES: Mapping[str, str] = MappingProxyType(
    {
        "arrivals_misfit": "the jobs were not released as the requested arrival process",
        "below_floor": "service times are no longer than the engine's own overhead",
        "client_limited": "the client set the rate, not the target",
        "clock_uncertain": "the clocks of the machines of a run are known less well than its releases are punctual",
        "conservation_broken": "the counts or Little's law do not add up",
        "cost_unpriced": "the cost model gave no usable price",
        "cpu_saturated": "the generator was busy for the whole window",
        "data_exhausted": "the arrivals ended because every row of the data was used",
        "divided": "slots, a queue, connections or the users of a closed model were divided among shards",
        "gc_pause": "garbage collection paused the generator",
        "heavy_tail": "the service time has no variance, so means settle slowly",
        "kept_connections_lost": "the target closed kept connections on which requests had been sent",
        "late_releases": "jobs were released later than intended",
        "lengths_missed": "prompts or answers were of another length than was asked for",
        "local_failures": "jobs failed by the client's own fault",
        "loop_lag": "something blocked the event loop",
        "no_steady_state": "no point was found from which the run looks steady",
        "not_drained": "the run stopped before all of its jobs had ended",
        "pool_exhausted": "jobs had to wait for a connection",
        "queue_growing": "jobs arrived faster than they were served",
        "rate_shortfall": "the generator could not reach the requested rate",
        "records_dropped": "the run had more jobs than records are kept for; quantiles come from a histogram",
        "replication_outlying": "a replication of a repeated run is far from the others",
        "retries_at_once": "users of a closed model whose jobs were rejected retried without a pause",
        "shard_lost": "a process that ran a part of the jobs was lost under way",
        "spend_unknown": "requests ended before their server reported what a bill is made of",
        "target_rate_limited": "a ceiling of the server held requests back",
        "tokens_simulated": "times and counts of tokens were drawn, and no model was asked",
        "tokens_unknown": "the target did not tell how many tokens its answers have",
        "too_few_samples": "too few jobs for some quantiles",
        "tracer_active": "coverage, a debugger or a profiler traced the generator",
    }
)
"""Every code of a finding, with its meaning."""

# --- Kinds -----------------------------------------------------------------------------------------------------------
# The names of the built-in kinds, without their classes: labels and schemas need the names where the classes must not
# be loaded. The catalog maps them to classes, and a test compares the two. Installed packages add kinds of their own,
# so a label folds every other name into OTHER.

COST_KINDS = (
    "composite",
    "container_task",
    "discounts",
    "egress",
    "flat_period",
    "fleet",
    "free",
    "instance_busy",
    "packed",
    "per_job",
    "per_second",
    "serverless",
    "sheet",
    "tiered",
    "tokens",
)
JOB_KINDS = ("chat", "cpu", "faulty", "flow", "http", "limited", "mix", "replay", "sleep")
ARRIVAL_KINDS = ("all_at_once", "closed", "constant", "gamma", "poisson", "ramp", "sine", "stages", "trace")
SCHEDULER_KINDS = ("fifo", "lifo", "priority", "shortest_first")
DISTRIBUTION_KINDS = ("constant", "empirical", "exponential", "gamma", "lognormal", "mixture", "pareto", "uniform")

BUILT_IN_KINDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "jobs": JOB_KINDS,
        "arrivals": ARRIVAL_KINDS,
        "schedulers": SCHEDULER_KINDS,
        "cost_models": COST_KINDS,
        "distributions": DISTRIBUTION_KINDS,
    }
)
"""Group of kinds → the built-in ones."""

OTHER = "other"
"""What a label says in place of a name from outside."""

# --- Units -----------------------------------------------------------------------------------------------------------

SECONDS_AS_HOURS = Fraction(1, 3600)

PRICED_UNITS: Mapping[str, Mapping[str, Fraction]] = MappingProxyType(
    {
        "jobs": {"Requests": Fraction(1), "Jobs": Fraction(1)},
        "data": {"GB": Fraction(1, 10**9), "GiB": Fraction(1, 2**30)},
        "tokens": {"1M Tokens": Fraction(1, 10**6)},
        "time": {"Seconds": Fraction(1), "Hours": SECONDS_AS_HOURS},
        "memory time": {
            "GB-Seconds": Fraction(1),
            "GB-Hours": SECONDS_AS_HOURS,
            "GiB-Seconds": Fraction(1),
            "GiB-Hours": SECONDS_AS_HOURS,
        },
        "vCPU time": {"vCPU-Seconds": Fraction(1), "vCPU-Hours": SECONDS_AS_HOURS},
        "instance time": {"Instance-Seconds": Fraction(1), "Instance-Hours": SECONDS_AS_HOURS},
    }
)
"""What can be metered → the units that it may be priced in → how many of the unit one base unit (job, byte, second) is."""

BILLED_UNITS = (
    *(unit for units in PRICED_UNITS.values() for unit in units),
    "Minutes",
    "Periods",
)
"""Every unit of a line of a bill; a cost model from outside may have others, which labels fold into `OTHER`."""

# --- A comparison of two runs ----------------------------------------------------------------------------------------

ComparisonWord = Literal["same", "better", "worse", "inconclusive"]
"""What a comparison says of the second run, against the first."""
COMPARISON_WORDS: tuple[ComparisonWord, ...] = get_args(ComparisonWord)

COMPARED_FIGURES: Mapping[str, str] = MappingProxyType(
    {
        "response_time.mean": "mean response time, s",
        "response_time.p50": "median response time, s",
        "response_time.p90": "90 % of jobs took at most this long, s",
        "response_time.p95": "95 % of jobs took at most this long, s",
        "response_time.p99": "99 % of jobs took at most this long, s",
        "throughput": "completed jobs per second",
        "failure_ratio": "share of the jobs that failed, timed out, were rejected or left the queue",
        "cost_per_million": "cost of a million completed jobs",
    }
)
"""Every figure that two runs are compared by, with its meaning. Of throughput more is better, of all others less."""

COMPARISON_REMARKS: Mapping[str, str] = MappingProxyType(
    {
        "invalid_run": "the verdict of a run is invalid: its figures are not to be used",
        "other_clock": "one run was in real time, the other in virtual time",
        "other_machine": "runs in real time were on different machines",
        "too_few_jobs": "a run has too few completed jobs for any word on them but inconclusive",
        "no_steady_state": "a run drifts: its blocks of jobs are alike however long they are",
        "no_interval": "nothing is left of a run that would tell how far its figures may be off",
        "nothing_to_compare": "there is no figure that both runs have",
        "other_specification": "the specifications differ",
        "other_seed": "the seeds differ, as they should in two samples",
        "same_arrivals": "jobs arrived at the same instants in both: they are compared in pairs",
        "other_environment": "versions or the system differ",
        "degraded_run": "the verdict of a run is degraded",
        "unended_run": "a run did not complete",
        "from_histograms": "the records of a run are gone: its figures come from histograms",
        "from_replications": "the intervals of a run come from its replications",
    }
)
"""Every remark on a comparison, with its meaning. The first three make two runs incomparable, those up to
``nothing_to_compare`` say why something is not decided, and the others are notes.
"""

# --- Forms and exit codes --------------------------------------------------------------------------------------------

ExportFormat = Literal["json", "csv", "ndjson"]
EXPORT_FORMATS: tuple[ExportFormat, ...] = get_args(ExportFormat)

JOBS_SHOWN = 10_000
"""Jobs in a result's ``jobs``; all of them are at the run's own jobs resource."""


class ExitCode(IntEnum):
    """How a command ended, but for ``aurea serve``. One that a signal ended exits with 128 + its number.

    4 and 5 are not used: they are the server's codes for its history.
    """

    MET = 0
    FAILED = 1
    BAD_INPUT = 2
    MISSED = 3
    NOT_DECIDED = 6


class ServeExitCode(IntEnum):
    """How ``aurea serve`` ended. One that a second signal stopped at once exits with 128 + its number."""

    STOPPED = 0
    UNSAFE = 2
    CANNOT_BIND = 3
    LEDGER_UNUSABLE = 4
    LEDGER_NEWER = 5
    INTERNAL = 70
