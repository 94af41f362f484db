"""Repeating a run: N replications of one specification with derived seeds, and every figure with its interval over them.

**Seeds.** Replication k has the seed that the run's own seed gives by the name ``replication`` and the number k
(`derive_seed`). So it is the same run whatever N is, wherever it is executed, and whichever ends first; and
``aurea run SPEC --seed SEED`` executes it again by itself.

**Side by side.** Virtual replications are executed so many at once as the runner is wide. They end in any order, and are
taken in the order of their numbers: nothing in the result depends on the number of processes. Runs in real time follow each
other, since they would measure each other.

**Until.** A study that may end early looks after each replication, from the tenth on, whether the interval of the mean
response time is narrow enough, by replications 1 to k and no others. What had been begun beyond that is dropped.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable
from dataclasses import replace

from aurea_engine.closed_sets import Reason, Status
from aurea_engine.engine import Stop, loop_factory
from aurea_engine.errors import AureaError, SpecError, StrategyError
from aurea_engine.records.batch import Instants
from aurea_engine.results.observers import Observer, Observers
from aurea_engine.results.result import RunResult
from aurea_engine.spec import RunSpec
from aurea_engine.studies.combined_result import EndedReplication, combine
from aurea_engine.studies.figure_spread import spread_figure
from aurea_engine.studies.repeat_progress import RepeatProgress
from aurea_engine.studies.repetition import FEWEST_UNTIL, Repetition
from aurea_engine.studies.replication_figures import PooledTimes, take_values
from aurea_engine.studies.run_stop import RunStop
from aurea_engine.studies.runner import RunHere, Runner
from aurea_engine.workload.streams import derive_seed

PURPOSE = "replication"
"""The name from which the seeds of replications are derived."""


async def repeat(
    spec: RunSpec,
    n: int,
    *,
    until: float | None = None,
    runner: Runner | None = None,
    observers: Iterable[Observer] = (),
    stop: Stop | None = None,
) -> RunResult:
    """The result of ``n`` replications of ``spec``; `RunResult.replications` has each of them.

    ``until``: fewer are enough, but no fewer than ten, once the 95 % interval of the mean response time is so narrow:
    half its width ÷ the mean. ``runner`` executes them, in this process if none is given (`open_runner` has several).
    ``stop`` ends it with what it has. Raises as `run` does, and what the first replication raised if none came to a result.
    """
    repetition = Repetition.of(n, until)
    seeded = spec if spec.seed is not None else replace(spec, seed=secrets.randbits(53))
    return await _Study(seeded, repetition, runner or RunHere(), observers, stop or Stop()).run()


def repeat_sync(
    spec: RunSpec,
    n: int,
    *,
    until: float | None = None,
    observers: Iterable[Observer] = (),
    stop: Stop | None = None,
) -> RunResult:
    """`repeat`, in this process, for a program without an event loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            return runner.run(repeat(spec, n, until=until, observers=observers, stop=stop))
    raise SpecError("repeat_sync was called inside a running event loop: await aurea_engine.repeat(spec, n) instead")


class _Study:
    """The replications of ``spec``, which has a seed."""

    def __init__(
        self, spec: RunSpec, repetition: Repetition, runner: Runner, observers: Iterable[Observer], stop: Stop
    ) -> None:
        self._spec, self._repetition, self._runner, self._stop = spec, repetition, runner, stop
        self._last = repetition.most
        self._width = runner.width if spec.clock == "virtual" else 1
        told = Observers(observers)
        self._progress = RepeatProgress(spec, told, repetition.most) if told else None
        self._running: dict[asyncio.Task[RunResult], int] = {}
        self._arrived: dict[int, tuple[EndedReplication, dict[str, Instants] | None]] = {}
        self._ended: list[EndedReplication] = []
        self._pooled = PooledTimes()
        self._failure: AureaError | None = None

    async def run(self) -> RunResult:
        begun = 0
        try:
            while True:
                # The first is begun in any case: a study that is stopped at once still has a result, as a run has.
                while begun < self._last and len(self._running) < self._width and not (self._stop.status and begun):
                    begun += 1
                    self._begin(begun)
                if not self._running or len(self._ended) == self._last:
                    break
                done, _ = await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
                # In the order of their numbers, so that of several failures the same one is raised.
                for task in sorted(done, key=self._running.__getitem__):
                    self._take(self._running.pop(task), task)
                self._absorb()
        finally:
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)
        return self._conclude()

    def _begin(self, number: int) -> None:
        spec = self._spec_of(number)
        watch = [] if self._progress is None else [self._progress.watch(number)]
        running = asyncio.ensure_future(self._runner.run(spec, watch, stop=RunStop(self._stop)))
        self._running[running] = number

    def _spec_of(self, number: int) -> RunSpec:
        assert self._spec.seed is not None
        return replace(self._spec, seed=derive_seed(self._spec.seed, PURPOSE, number))

    def _take(self, number: int, task: asyncio.Future[RunResult]) -> None:
        """One has ended. What is wrong with the specification, or with a strategy, is wrong with all: it is raised."""
        seed = self._spec_of(number).seed
        assert seed is not None
        try:
            result = task.result()
        except (SpecError, StrategyError):
            raise
        except AureaError as error:
            self._failure = self._failure or error
            self._arrived[number] = (EndedReplication(number, seed, None, _explain(error)), None)
            return
        values = take_values(result) if result.status == "completed" else None
        # Of a thousand runs no records could be held: what is asked of them is taken out, and they are dropped.
        lean = replace(result, jobs=None, steps=None, parts=None, series=())
        self._arrived[number] = (EndedReplication(number, seed, lean), values)

    def _absorb(self) -> None:
        """Take what has arrived, in the order of the numbers and as far as none is missing."""
        while len(self._ended) < self._last and (next_one := self._arrived.pop(len(self._ended) + 1, None)):
            ended, values = next_one
            self._ended.append(ended)
            if ended.result is not None and ended.result.status == "completed":
                self._pooled.add(ended.result, values)
            if self._is_narrow():
                self._last = len(self._ended)

    def _is_narrow(self) -> bool:
        """Whether the replications so far are enough. It looks at these alone, however many others have ended."""
        until, counted = self._repetition.until, self._list_counted()
        if until is None or len(counted) < FEWEST_UNTIL:
            return False
        spread = spread_figure("response_time.mean", {n: one.response_time.mean for n, one in counted.items()})
        half = None if spread is None else spread.half_width
        return half is not None and half <= until

    def _list_counted(self) -> dict[int, RunResult]:
        ended = ((each.number, each.result) for each in self._ended)
        return {number: result for number, result in ended if result is not None and result.status == "completed"}

    def _conclude(self) -> RunResult:
        if self._failure is not None and all(each.result is None for each in self._ended):
            raise self._failure
        is_cut = len(self._ended) < self._last
        stopped: Status | None = self._stop.status if is_cut else None
        result = combine(
            self._spec,
            self._repetition.most,
            self._ended,
            self._pooled,
            until=self._repetition.until,
            stopped=stopped,
        )
        if self._progress is not None:
            self._progress.report_end(result)
        return result


def _explain(error: AureaError) -> Reason:
    """Why there is no result. A process that failed says it by a ``reason`` with a code of the closed set."""
    return Reason(getattr(getattr(error, "reason", None), "code", "runner_died"), f"{error}")
