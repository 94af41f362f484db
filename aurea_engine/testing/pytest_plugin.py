"""The fixture ``aurea`` of the pytest plugin: it runs specifications, and requires that their objectives hold. ::

    def test_search_is_quick(aurea):
        aurea.require(aurea.run("search.json"))

A missed objective fails the test, with the table of objectives. A measurement that decides nothing skips it, with the
reason: the machine may be at fault, and not the code. docs/testing.md tells the story.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aurea_engine.codec.catalog import default_catalog
from aurea_engine.codec.parsing import RESULT_DEPTH, parse_json, parse_toml
from aurea_engine.codec.run_file import RunFile, is_run_file
from aurea_engine.codec.specifications import spec_from_dict
from aurea_engine.engine import run, run_sync
from aurea_engine.errors import DamagedRunFile, Problem, SpecError
from aurea_engine.records.quantiles import CONFIDENCE
from aurea_engine.results.comparison import Comparison
from aurea_engine.results.result import RunResult
from aurea_engine.results.summarize import judge_again
from aurea_engine.spec import RunSpec
from aurea_engine.studies.compare import compare
from aurea_engine.testing.judgement import Judgement, align, judge, tabulate
from aurea_engine.testing.stored_baselines import Baselines
from aurea_engine.workload.streams import derive_seed

MOST_ATTEMPTS = 20
"""Each attempt is judged more strictly, so that more of them decide ever less."""

Specification = RunSpec | Mapping[str, Any] | str | Path


class Aurea:
    """Runs specifications for a test. ``beside``: the folder of the test's file, where files of specifications are looked
    for first. ``judged`` and ``properties`` are the test's own: what came of each run is added to them.
    """

    def __init__(
        self,
        beside: Path,
        strict: bool = False,
        baselines: Baselines | None = None,
        judged: list[dict[str, Any]] | None = None,
        properties: list[tuple[str, object]] | None = None,
    ) -> None:
        self._beside, self._strict, self._baselines = beside, strict, baselines
        self._judged = [] if judged is None else judged
        self._properties = [] if properties is None else properties
        # By id and seed of the result: a run of several attempts was judged more strictly, and needs more jobs.
        self._confidence: dict[tuple[str, int | None], float] = {}

    def run(self, spec: Specification, *, attempts: int = 1) -> RunResult:
        """The result of ``spec``: a specification, the dict or the JSON or TOML file of one, or of a result to repeat.

        ``attempts``: run again with a fresh seed, so many times in all, while the measurement decides nothing. Each attempt
        is judged at confidence 1 − 0.05/attempts, so that all of them together err no more often than one (Bonferroni). The
        last one's result is returned, judged like that. Raises `SpecError`, and for a run in real time in a running loop.
        """
        whole = self._read(spec)
        _refuse_loop(whole)
        return self._try_on(_Tries(whole, attempts))

    async def run_async(self, spec: Specification, *, attempts: int = 1) -> RunResult:
        """`run` in a running event loop, whose other tasks go on meanwhile."""
        tries = _Tries(self._read(spec), attempts)
        for each in tries.specs():
            if (result := tries.judge(await run(each), each)) is not None:
                self._confidence[_identify(result)] = tries.confidence
                return result
        raise AssertionError("the last attempt has a result")

    def require(self, result: RunResult, *, attempts: int = 1) -> RunResult:
        """Pass if every objective of ``result`` is met, fail if one is missed or can never be decided, else skip.

        ``attempts``: as of `run`; ``result`` is the first attempt, and the rest are run here. With ``--aurea-baseline`` the
        result is also compared with the stored one of its label. Returns the result that decided.
        """
        __tracebackhide__ = True  # a test that is skipped or failed here was so where it called this
        if attempts != 1:
            _refuse_loop(result.spec)
            result = self._try_on(_Tries(result.spec, attempts), result)
        judgement = judge(result, self._confidence.get(_identify(result), CONFIDENCE))
        compared = self._compare(result)
        if compared is not None and judgement.word in ("met", "not_judged"):
            judgement = _add_comparison(judgement, *compared)
        self._note(result, judgement, compared)
        text = f"{judgement.reason}\n{tabulate(result)}"
        if judgement.word in ("missed", "never") or (judgement.word == "not_judged" and self._strict):
            pytest.fail(text if compared is None else f"{text}\n{_tabulate_shifts(compared[1])}", pytrace=False)
        if judgement.word == "not_judged":
            pytest.skip(judgement.reason)
        return result

    def _try_on(self, tries: _Tries, first: RunResult | None = None) -> RunResult:
        """Run until an attempt decides. ``first``: what the first of them came to, if it was made already."""
        for each in tries.specs():
            result, first = tries.judge(first or run_sync(each), each), None
            if result is not None:
                self._confidence[_identify(result)] = tries.confidence
                return result
        raise AssertionError("the last attempt has a result")

    def _read(self, spec: Specification) -> RunSpec:
        if isinstance(spec, RunSpec):
            return spec
        data: Any = dict(spec) if isinstance(spec, Mapping) else self._read_file(Path(spec))
        # A result holds the specification that it is of, seed included.
        if isinstance(data, dict) and "benchmark_id" in data and "spec" in data:
            data = data["spec"]
        return spec_from_dict(data, default_catalog().with_entry_points())

    def _read_file(self, path: Path) -> object:
        beside = self._beside / path
        path = beside if beside.exists() else path
        try:
            content = path.read_bytes()
        except OSError as error:
            raise SpecError(f"{path}: {error.strerror}") from None
        try:
            if is_run_file(content):
                return RunFile.from_bytes(content).document
            return (
                parse_toml(content) if path.suffix.lower() == ".toml" else parse_json(content, max_depth=RESULT_DEPTH)
            )
        except DamagedRunFile as error:
            raise SpecError(f"{path}: {error}") from None
        except SpecError as error:
            raise SpecError([each._replace(path=f"{path}") for each in error.problems]) from None

    def _compare(self, result: RunResult) -> tuple[str, Comparison] | None:
        found = None if self._baselines is None else self._baselines.find(result.spec.label)
        return None if found is None else (found[0], compare(found[1], result))

    def _note(self, result: RunResult, judgement: Judgement, compared: tuple[str, Comparison] | None) -> None:
        """For the terminal, the summary, and the properties of JUnit."""
        objectives = [
            {
                "objective": str(each.objective),
                "outcome": each.outcome,
                "observed": "–" if each.observed is None else f"{each.observed:.4g}",
            }
            for each in result.objectives
        ]
        # Plain values only: a worker of pytest-xdist sends them to its controller.
        self._judged.append(
            {
                "run": result.benchmark_id,
                "verdict": result.verdict,
                "reason": judgement.reason,
                "not_judged": judgement.not_judged,
                "objectives": objectives,
                "baseline": None if compared is None else compared[0],
                "figures": [] if compared is None else list(_list_shifts(compared[1])),
            }
        )
        self._properties += [("aurea.run", result.benchmark_id), ("aurea.verdict", result.verdict)]
        self._properties += [
            ("aurea.objective", f"{each['objective']}: {each['outcome']}, {each['observed']}") for each in objectives
        ]
        if compared is not None:
            self._properties.append(("aurea.compared", compared[1].word))


class _Tries:
    """The attempts of one run, and when they end."""

    def __init__(self, spec: RunSpec, attempts: int) -> None:
        self.confidence, self._left = _confidence_of(attempts), attempts
        self._spec: RunSpec | None = spec

    def specs(self) -> Iterator[RunSpec]:
        """What to run, until `judge` has given a result."""
        for i in range(self._left):
            assert self._spec is not None
            # The first has the seed of the specification, or draws one: then the others derive theirs from that.
            yield self._spec if i == 0 else replace(self._spec, seed=derive_seed(self._spec.seed or 0, "attempt", i))

    def judge(self, result: RunResult, ran: RunSpec) -> RunResult | None:
        """The result at the confidence of an attempt; None if it decides nothing, and there is another one."""
        self._left -= 1
        if ran.seed is None:
            self._spec = result.spec
        judged = result if self.confidence == CONFIDENCE else judge_again(result, self.confidence)
        # What can never be decided is not tried again either.
        return judged if not self._left or judge(judged, self.confidence).word != "not_judged" else None


def _confidence_of(attempts: int) -> float:
    if isinstance(attempts, bool) or not isinstance(attempts, int) or not 1 <= attempts <= MOST_ATTEMPTS:
        raise SpecError([Problem("attempts", f"must be a whole number from 1 to {MOST_ATTEMPTS}", repr(attempts)[:40])])
    return 1 - (1 - CONFIDENCE) / attempts if attempts > 1 else CONFIDENCE


def _identify(result: RunResult) -> tuple[str, int | None]:
    return result.benchmark_id, result.spec.seed


def _refuse_loop(spec: RunSpec) -> None:
    if spec.clock == "virtual":
        return
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise SpecError("there is a running event loop: await aurea.run_async(spec, attempts=...) instead")


def _add_comparison(judgement: Judgement, file: str, comparison: Comparison) -> Judgement:
    """A run that got worse fails, though its objectives are met; one that cannot be compared is not judged."""
    if comparison.word == "worse":
        return Judgement("missed", f"worse than {file}", judgement.not_judged)
    if comparison.word == "inconclusive":
        reasons = "; ".join(each.detail for each in comparison.reasons) or "the shift may be chance"
        told = f"{judgement.reason}; " if judgement.reason else ""
        return Judgement("not_judged", f"{told}no comparison with {file} ({reasons})", judgement.not_judged + 1)
    return judgement


def _list_shifts(comparison: Comparison) -> Iterator[list[str]]:
    for each in comparison.figures:
        change = f"{each.shift:+.1%}"
        if each.interval is not None:
            change += f" ({each.interval.low:+.1%} to {each.interval.high:+.1%})"
        yield [each.figure, f"{each.a:.4g}", f"{each.b:.4g}", change, each.word]


def _tabulate_shifts(comparison: Comparison) -> str:
    return align([["figure", "before", "now", "change", ""], *_list_shifts(comparison)])
