"""When findings were, and between which bounds an objective was judged: in results, and through JSON and back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from aurea_engine import RunResult, encode_json, parse_json, result_from_dict, result_to_dict, simulate, spec_from_dict
from aurea_engine.closed_sets import Severity
from aurea_engine.records.batch import NS
from aurea_engine.results.checks import EndedRun, _place
from aurea_engine.results.findings import Finding
from aurea_engine.results.run_state import RunState

SPEC = {
    "workload": {
        "job": {"kind": "sleep", "duration": {"kind": "exponential", "mean": 0.05}},
        "arrivals": {"kind": "poisson", "rate": 50},
        "jobs": 1000,
    },
    "objectives": [
        {"metric": "response_time", "quantile": 0.9, "at_most": 0.2},
        {"metric": "response_time", "at_most": 0.2},
        {"metric": "throughput", "at_least": 40},
        {"metric": "response_time", "quantile": 0.999, "at_most": 9},
    ],
    "clock": "virtual",
    "seed": 1,
}


def again(result: RunResult) -> RunResult:
    return result_from_dict(parse_json(encode_json(result_to_dict(result))))


def test_bounds_of_objectives() -> None:
    """Estimates have them, with the figure between; facts and what too few jobs support have none."""
    quantile, mean, rate, unsupported = simulate(spec_from_dict(SPEC)).objectives
    for judged in (quantile, mean):
        assert judged.interval is not None
        assert judged.observed is not None
        assert judged.interval.low < judged.observed < judged.interval.high
        assert judged.detail == f"95 % bounds {judged.interval.low:.6g} s and {judged.interval.high:.6g} s"
    assert rate.interval is None
    assert unsupported.interval is None


def test_bounds_and_instants_are_read_back() -> None:
    result = simulate(spec_from_dict(SPEC | {"workload": SPEC["workload"] | {"stop_at": 7.5}}))
    assert again(result).objectives == result.objectives
    assert [each.interval for each in again(result).objectives] != [None] * 4
    assert again(result).findings == result.findings
    assert [each.at for each in result.findings if each.code == "not_drained"] in ([], [result.duration])
    assert again(result).series == result.series


def test_the_finding_on_lag_is_at_the_latest_release() -> None:
    """In the records, by when that job was meant to start."""
    result = simulate(spec_from_dict(SPEC))
    assert result.jobs is not None
    assert result.parts is not None
    lag = np.zeros(len(result.jobs), np.int64)
    lag[321] = NS // 3
    jobs = replace(result.jobs, released=result.jobs.intended + lag)
    run = EndedRun(replace(result, jobs=jobs), RunState(result.spec, result.parts, 1.0, None, True, False), True)
    found = _place(Finding("late_releases", Severity.DEGRADED, "x", "y"), run)
    assert found.at == int(jobs.intended[321]) / NS
    assert (
        _place(
            Finding("late_releases", Severity.DEGRADED, "x", "y"), replace(run, result=replace(result, jobs=None))
        ).at
        is None
    )


def test_results_of_earlier_versions() -> None:
    """They have neither, and no p90 in their series."""
    result = simulate(spec_from_dict(SPEC))
    document = parse_json(encode_json(result_to_dict(result)))
    for each in document["objectives"]:
        del each["interval"]
    for each in document["findings"]:
        del each["at"]
    for point in document["series"]["points"]:
        del point["p90"]
    read = result_from_dict(document)
    assert {each.interval for each in read.objectives} == {None}
    assert {each.at for each in read.findings} <= {None}
    assert {point.p90 for point in read.series} == {None}
    assert [point.p99 for point in read.series] == [point.p99 for point in result.series]


def test_quantiles_of_a_series() -> None:
    """p90 lies between the others, at every point that has any."""
    points = [point for point in simulate(spec_from_dict(SPEC)).series if point.p50 is not None]
    assert points
    assert all(point.p50 <= point.p90 <= point.p99 for point in points)  # type: ignore[operator]
