"""Aurea: synthetic jobs, for real or in virtual time; throughput, response times and what the work cost. ::

from aurea_engine import Exponential, Fifo, Poisson, RunSpec, Sleep, Workload, simulate

spec = RunSpec(Workload(Sleep(Exponential(0.06)), Poisson(55), jobs=60_000), Fifo(slots=4), seed=7)
print(simulate(spec).response_time.p99)
"""

from __future__ import annotations

from aurea_engine.closed_sets import FAILURE_CLASSES, FINAL, FINDING_CODES, Outcome, Reason, Severity
from aurea_engine.codec.capacity import capacity_to_dict
from aurea_engine.codec.catalog import Catalog, default_catalog
from aurea_engine.codec.comparisons import comparison_from_dict, comparison_to_dict
from aurea_engine.codec.parsing import parse_json, parse_toml
from aurea_engine.codec.result_reading import result_from_dict
from aurea_engine.codec.results import encode_json, result_to_dict
from aurea_engine.codec.run_file import RunFile
from aurea_engine.codec.specifications import cost_from_dict, spec_from_dict, spec_to_dict
from aurea_engine.codec.what_if import what_if_to_dict
from aurea_engine.costs import Cost, CostModel, Free, PerJob, PerSecond, RunInfo, Usage, job_costs, price
from aurea_engine.engine import Stop, execute, loop_factory, run, run_sync, simulate
from aurea_engine.errors import (
    LOCAL_REFERENCE,
    AureaError,
    ClusterRefused,
    DamagedParts,
    DamagedRunFile,
    NeedsRecords,
    NotReported,
    NotSimulable,
    Problem,
    SpecError,
    StrategyError,
)
from aurea_engine.fields.units import parse_duration, parse_rate
from aurea_engine.fields.version import engine_version
from aurea_engine.records.batch import JobBatch
from aurea_engine.records.histogram import LatencyHistogram
from aurea_engine.records.job_record import JobRecord
from aurea_engine.records.measures import Mark, Measure, Schema
from aurea_engine.records.rows import record_rows, records_from_rows
from aurea_engine.records.series import Point
from aurea_engine.records.step_rows import step_rows
from aurea_engine.records.steps import StepBatch
from aurea_engine.results.capacity import CapacityAnswer
from aurea_engine.results.comparison import ComparedFigure, Comparison, Effect, LeftOut, Remark, ShiftInterval
from aurea_engine.results.findings import Finding
from aurea_engine.results.floor import Floor, attach_floor
from aurea_engine.results.observers import Observer, Progress
from aurea_engine.results.replications import Replication, Replications, Spread
from aurea_engine.results.result import (
    Concurrency,
    Counts,
    GroupResult,
    MarkTimes,
    MeasureAmounts,
    ObjectiveResult,
    RunResult,
    TheoryRow,
)
from aurea_engine.results.shard_figures import ShardLoss, ShardResult
from aurea_engine.results.statistics import Interval, Timing
from aurea_engine.results.summarize import summarize
from aurea_engine.results.what_if import WhatIf, WhatIfFigure
from aurea_engine.run.clock import Bell, Clock, MonotonicClock
from aurea_engine.run.parts import RunParts
from aurea_engine.run.planned_jobs import PlannedJobs, plan
from aurea_engine.run.shard import Shard
from aurea_engine.shards.dask_address import ClusterAddress
from aurea_engine.shards.dask_shard import run_on_dask
from aurea_engine.shards.local import run_sharded, run_sharded_sync
from aurea_engine.shards.process_runner import open_runner
from aurea_engine.spec import Objective, RunSpec, Thresholds
from aurea_engine.studies.capacity import capacity
from aurea_engine.studies.compare import compare
from aurea_engine.studies.repeat import repeat, repeat_sync
from aurea_engine.studies.runner import RunHere, Runner
from aurea_engine.studies.search_plan import SearchLimits
from aurea_engine.studies.what_if import Changes, what_if
from aurea_engine.targets.chat.conversation import Conversation
from aurea_engine.targets.chat.job import Chat
from aurea_engine.targets.chat.prompt_lines import PromptLine
from aurea_engine.targets.chat.prompts.member import PromptPrefix, Prompts
from aurea_engine.targets.chat.simulated import SimulatedChat
from aurea_engine.targets.http.data import Data
from aurea_engine.targets.http.expectations import Expect
from aurea_engine.targets.http.extraction import Extract
from aurea_engine.targets.http.flow import Flow, Step
from aurea_engine.targets.http.job import Http
from aurea_engine.targets.http.members import Auth
from aurea_engine.targets.http.tls import TlsOptions
from aurea_engine.targets.secrets import SecretReference
from aurea_engine.workload.access import Access, Reach
from aurea_engine.workload.arrivals import (
    AllAtOnce,
    Arrivals,
    Closed,
    Poisson,
    Ramp,
    Sine,
    Stage,
    Stages,
)
from aurea_engine.workload.arrivals import (
    Constant as ConstantRate,
)
from aurea_engine.workload.arrivals import (
    Gamma as GammaArrivals,
)
from aurea_engine.workload.callbacks import CallbackPool, PoolState
from aurea_engine.workload.combinations import Branch, Faulty, Limited, Mix
from aurea_engine.workload.distributions import (
    Constant,
    Distribution,
    Empirical,
    Exponential,
    Gamma,
    LogNormal,
    Mixture,
    Moments,
    Pareto,
    Uniform,
    Weighted,
)
from aurea_engine.workload.job_setup import JobSetup
from aurea_engine.workload.jobs import Cpu, Job, JobSource, Plan, Sleep
from aurea_engine.workload.recorded import Replay, Trace, inline_files
from aurea_engine.workload.schedulers import Fifo, Lifo, Priority, Queue, Scheduler, ShortestFirst
from aurea_engine.workload.streams import Streams
from aurea_engine.workload.token_traces import TraceTokens
from aurea_engine.workload.workload import Workload

__all__ = [
    "Access",
    "AllAtOnce",
    "Arrivals",
    "AureaError",
    "Auth",
    "Bell",
    "Branch",
    "CallbackPool",
    "CapacityAnswer",
    "Catalog",
    "Changes",
    "Chat",
    "Clock",
    "Closed",
    "ClusterAddress",
    "ClusterRefused",
    "ComparedFigure",
    "Comparison",
    "Concurrency",
    "Constant",
    "ConstantRate",
    "Conversation",
    "Cost",
    "CostModel",
    "Counts",
    "Cpu",
    "DamagedParts",
    "DamagedRunFile",
    "Data",
    "Distribution",
    "Effect",
    "Empirical",
    "Expect",
    "Exponential",
    "Extract",
    "FAILURE_CLASSES",
    "FINAL",
    "FINDING_CODES",
    "Faulty",
    "Fifo",
    "Finding",
    "Floor",
    "Flow",
    "Free",
    "Gamma",
    "GammaArrivals",
    "GroupResult",
    "Http",
    "Interval",
    "Job",
    "JobBatch",
    "JobRecord",
    "JobSetup",
    "JobSource",
    "LOCAL_REFERENCE",
    "LatencyHistogram",
    "LeftOut",
    "Lifo",
    "Limited",
    "LogNormal",
    "Mark",
    "MarkTimes",
    "Measure",
    "MeasureAmounts",
    "Mix",
    "Mixture",
    "Moments",
    "MonotonicClock",
    "NeedsRecords",
    "NotReported",
    "NotSimulable",
    "Objective",
    "ObjectiveResult",
    "Observer",
    "Outcome",
    "Pareto",
    "PerJob",
    "PerSecond",
    "Plan",
    "PlannedJobs",
    "Point",
    "Poisson",
    "PoolState",
    "Priority",
    "Problem",
    "Progress",
    "PromptLine",
    "PromptPrefix",
    "Prompts",
    "Queue",
    "Ramp",
    "Reach",
    "Reason",
    "Remark",
    "Replay",
    "Replication",
    "Replications",
    "RunFile",
    "RunHere",
    "RunInfo",
    "RunParts",
    "RunResult",
    "RunSpec",
    "Runner",
    "Scheduler",
    "Schema",
    "SearchLimits",
    "SecretReference",
    "Severity",
    "Shard",
    "ShardLoss",
    "ShardResult",
    "ShiftInterval",
    "ShortestFirst",
    "SimulatedChat",
    "Sine",
    "Sleep",
    "SpecError",
    "Spread",
    "Stage",
    "Stages",
    "Step",
    "StepBatch",
    "Stop",
    "StrategyError",
    "Streams",
    "TheoryRow",
    "Thresholds",
    "Timing",
    "TlsOptions",
    "Trace",
    "TraceTokens",
    "Uniform",
    "Usage",
    "Weighted",
    "WhatIf",
    "WhatIfFigure",
    "Workload",
    "attach_floor",
    "capacity",
    "capacity_to_dict",
    "compare",
    "comparison_from_dict",
    "comparison_to_dict",
    "cost_from_dict",
    "default_catalog",
    "encode_json",
    "engine_version",
    "execute",
    "inline_files",
    "job_costs",
    "loop_factory",
    "open_runner",
    "parse_duration",
    "parse_json",
    "parse_rate",
    "parse_toml",
    "plan",
    "price",
    "record_rows",
    "records_from_rows",
    "repeat",
    "repeat_sync",
    "result_from_dict",
    "result_to_dict",
    "run",
    "run_on_dask",
    "run_sharded",
    "run_sharded_sync",
    "run_sync",
    "simulate",
    "spec_from_dict",
    "spec_to_dict",
    "step_rows",
    "summarize",
    "what_if",
    "what_if_to_dict",
]
