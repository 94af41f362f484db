"""The execution of one shard: the live objects of a run, and how what they know becomes a value.

This is the only place that holds the plan, the dispatcher, the recorder and the meters of cost together. A driver moves them
from instant to instant. At any instant, and at the end, they are turned into `RunParts`; nothing that comes after a run ever
sees one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from aurea_engine.closed_sets import Reason, Status
from aurea_engine.costs import Metering
from aurea_engine.errors import StrategyError
from aurea_engine.run.clock import Clock
from aurea_engine.run.context import RunContext
from aurea_engine.run.dispatcher import Dispatcher
from aurea_engine.run.environment import GarbageWatch, describe_environment
from aurea_engine.run.parts import RunParts
from aurea_engine.run.plan import JobPlan
from aurea_engine.run.process_watch import ProcessWatch, count_releases
from aurea_engine.run.recorder import Recorder
from aurea_engine.run.shard import GeneratorStats, Shard, ShardReport, Timeline, Totals
from aurea_engine.run.shard_facts import ProcessFacts, Releases
from aurea_engine.run.step_meters import StepParts
from aurea_engine.run.stop_conditions import StopConditions
from aurea_engine.spec import RunSpec
from aurea_engine.workload.access import LOCAL_USER, Access
from aurea_engine.workload.callbacks import CallbackPool, PoolState, check_run_measures
from aurea_engine.workload.job_setup import JobSetup
from aurea_engine.workload.jobs import OpenedJob
from aurea_engine.workload.pacing import SendPacer
from aurea_engine.workload.streams import Streams

Look = Callable[["Execution", int], bool]
"""Called by the driver now and then, with the ns since the window opened. Returns whether the run is to stop."""


class Execution:
    """One shard of ``spec``, which has its seed. ``live``: the run is observed, so meters are kept up to date during it.
    ``access``: what its jobs may reach.
    """

    def __init__(self, spec: RunSpec, shard: Shard, look: Look, *, live: bool, access: Access = LOCAL_USER) -> None:
        shard.check(spec)
        assert spec.seed is not None  # drawn by the caller: a run without one could not be repeated
        # What is divided is divided here and nowhere else: the plan has the shard's users, the dispatcher its slots. All
        # others see the specification of the whole run, so that the parts of its shards are counted by the same rules.
        scheduler, simulated = shard.share_scheduler(spec.scheduler), spec.clock == "virtual"
        plan = JobPlan(spec.workload, Streams(spec.seed), simulated, shard, scheduler.divided)
        # One of each for one run: nothing here is used again, so nothing has to be put back.
        self._shard, self._access = shard, _share_connections(access, spec)
        self._pacer = None if access.most_rate is None else SendPacer(access.most_rate)
        schema = spec.workload.schema
        self._metering = Metering(spec.cost, measures=schema.measures, steps=schema.steps)
        recorder, dispatcher = Recorder(spec, self._metering, live, shard), Dispatcher(scheduler)
        self._started_at = _read_calendar()
        # An objective on the cost may end the run, and prices depend on the day on which the window opened. In real time
        # that is later than now (jobs set up first), so the conditions are given a way to ask, not an instant.
        conditions = StopConditions.of(
            spec, plan, dispatcher, recorder, lambda elapsed: look(self, elapsed), lambda: self._started_at
        )
        self.context = RunContext(spec, plan, dispatcher, recorder, conditions)
        self._garbage: GarbageWatch | None = None
        self._process: ProcessWatch | None = None

    def describe_setup(self, leaf: int) -> JobSetup:
        """The setup of the leaf at this position."""
        spec, supply = self.context.spec, self.context.plan.supply.supplies[leaf]
        assert spec.seed is not None
        jobs = [self._shard.count_of(each) for each in (spec.workload.jobs, supply) if each is not None]
        return JobSetup(
            self._access,
            # A family of its own, beside those of the plan: a draw in the middle of the run moves no other.
            Streams(spec.seed).child("set up").child(str(leaf)),
            jobs=min(jobs, default=None),
            slots=self._shard.share_scheduler(spec.scheduler).slots,
            users=self.context.plan.users or None,
            pacer=self._pacer,
            part=(self._shard.index, self._shard.of) if spec.scheduler.divided else (0, 1),
        )

    def tell_of_process(self) -> None:
        """From now on reports tell of the process itself: it is one of several."""
        self._process = ProcessWatch(self.context.stats)

    def open_window(
        self, clock: Clock, runs: Sequence[OpenedJob | None], garbage: GarbageWatch, opens_at: int | None = None
    ) -> RunContext:
        """The window opens now, in real time, or at ``opens_at``, together with others. Returns what the driver is given."""
        # What was set up before is in no figure: the clock of the window starts with the driver.
        self._garbage = garbage
        self._started_at = _read_calendar()
        if opens_at is not None:
            self.tell_of_process()
        self.context = replace(self.context, clock=clock, runs=runs, opens_at=opens_at)
        return self.context

    @property
    def is_recording(self) -> bool:
        """Whether records are kept so far."""
        return self.context.recorder.keep

    def take_snapshot(self, elapsed_ns: int) -> RunParts:
        """The parts of a run that goes on. They share its meters, have no records, and interval meters are only estimated:
        all of it takes well under a millisecond, since in real time no job is released meanwhile.
        """
        recorder = self.context.recorder
        # Between two looks ended jobs are only logged. They are counted here, in one go, since vector operations over a
        # thousand jobs cost little more than over one.
        recorder.digest()
        self._take_run_measures()
        # Exact counts of interval meters take a sort of all jobs so far; an estimate from the latest ones does for a look.
        metered = self._metering.count(rough=True)
        report = self._report(elapsed_ns, None)
        steps = None if recorder.steps is None else StepParts(recorder.steps.meters)
        return RunParts(self.context.spec.seed, (report,), None, None, recorder.meters, recorder.series, metered, steps)

    def close(self, status: Status) -> RunParts:
        """The driver is done: the parts of the shard."""
        spec, recorder, aborts = self.context.spec, self.context.recorder, self.context.conditions.aborts
        # Hazard: the columns are handed over as they are, not copied (a million records are 33 MB). Nothing may write to
        # them from now on, and nothing does: the driver has returned, and the recorder is dropped with this object.
        records = recorder.close()
        self._take_run_measures()
        numbers = None if records is None or self._shard.is_whole else self._shard.number_rows(len(records))
        lost = None if aborts is None or aborts.lost is None else spec.objectives.index(aborts.lost)
        report = replace(
            self._report(self.context.stats.window_ns, status),
            reason=Reason.usual(status) if lost is None else _lost_reason(spec, lost, status),
            lost=lost,
            environment=describe_environment(),
        )
        metered, steps = self._metering.count(), None if recorder.steps is None else recorder.steps.close()
        return RunParts(spec.seed, (report,), records, numbers, recorder.meters, recorder.series, metered, steps)

    def _report(self, elapsed_ns: int, status: Status | None) -> ShardReport:
        dispatcher, recorder = self.context.dispatcher, self.context.recorder
        # Of the latest job that arrived, also where it is still in service: whether the generator keeps up must show at
        # once, and jobs of minutes would hide it from the meters, which know only those that have ended.
        due_ns, released_ns = recorder.latest_release(dispatcher.arrived)
        # A pool has taken the jobs that wait for one of its connections, but their service has not begun.
        pool, waiting = self._describe_pools()
        waiting = min(waiting, dispatcher.busy)
        totals = Totals(
            dispatcher.arrived,
            dispatcher.rejected,
            dispatcher.busy - waiting,
            dispatcher.waiting + waiting,
            None if any(isinstance(each, CallbackPool) for each in self.context.runs) else dispatcher.peak,
            dispatcher.conserved,
            paced=0 if self._pacer is None else self._pacer.paced,
        )
        plan, process = self.context.plan, self._process
        timeline = Timeline(self._started_at, elapsed_ns, plan.end_ns, due_ns, released_ns)
        return ShardReport(
            self._shard,
            timeline,
            totals,
            status,
            generator=self._describe_generator(elapsed_ns),
            pool=pool,
            # Not before the last job that there was a supply for has arrived: the run may be ended before that.
            used_up=plan.supply.used_up if dispatcher.arrived == plan.own else None,
            process=ProcessFacts() if process is None else process.describe(),
            releases=Releases() if process is None else count_releases(recorder.meters, self.context.spec.thresholds),
        )

    def _describe_pools(self) -> tuple[PoolState | None, int]:
        """The connections of the pools of all leaves, and how many of their jobs wait for one.

        The job of several steps has begun, whichever of them waits.
        """
        states, waiting = [], 0
        for leaf, pool in zip(self.context.spec.workload.job.leaves(), self.context.runs, strict=False):
            if not isinstance(pool, CallbackPool) or (state := pool.state()) is None:
                continue
            if not isinstance(state, PoolState):
                raise StrategyError(f"{type(pool).__name__}.state must give a PoolState or None, not {state!r:.100}")
            states.append(state)
            waiting += 0 if leaf.step_names() else state.waiting
        return PoolState.join(states), waiting

    def _take_run_measures(self) -> None:
        """Into the meters what pools have to tell of the run as a whole."""
        job, runs = self.context.spec.workload.job, self.context.runs
        groups = job.groups() or (None,) * len(runs)
        for leaf, group, pool in zip(job.leaves(), groups, runs, strict=False):
            if leaf.run_measures and isinstance(pool, CallbackPool):
                taken = check_run_measures(pool, leaf.run_measures)
                self.context.recorder.meters.add_run_measures(taken, group)

    def _describe_generator(self, elapsed_ns: int) -> GeneratorStats:
        # In virtual time nothing is waited for and nothing is late, so there is nothing to be said of the generator.
        if self._garbage is None:
            return GeneratorStats()
        # At work is all that was not spent waiting for the next instant; jobs that run in this thread are work too.
        # Callbacks of pools run while the pump waits. They show in what the thread used, unless that was for spinning on the
        # clock; a loop that has time to spin is not saturated.
        stats = self.context.stats
        used_ns = 0 if stats.has_spun else stats.used_ns
        busy = min(max(elapsed_ns - stats.waited_ns, used_ns) / elapsed_ns, 1.0) if elapsed_ns else 0.0
        return GeneratorStats(busy, stats.late_ns, self._garbage.total_ns, self._garbage.longest_ns)


def _share_connections(access: Access, spec: RunSpec) -> Access:
    """``access`` with the share that each target of each leaf has of the ceiling of connections."""
    # A ceiling is of the run, and pools know nothing of each other. At least one each: without any, a leaf would never end.
    reaching = sum(len(leaf.reach().targets) for leaf in spec.workload.job.leaves())
    if access.most_connections is None or reaching < 2:
        return access
    return replace(access, most_connections=max(1, access.most_connections // reaching))


def _lost_reason(spec: RunSpec, lost: int, status: Status) -> Reason | None:
    # A stop from outside may have come first, and then it is why the run ended, whatever was lost besides.
    if status != "aborted":
        return Reason.usual(status)
    return Reason("objective_lost", f"{spec.objectives[lost]} could no longer be met")


def _read_calendar() -> datetime:
    """Only a label, and what picks the prices that hold on that day: no duration is ever measured by it."""
    return datetime.now(UTC)  # noqa: TID251 - a label
