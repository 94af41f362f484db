"""Bills by tokens: budgets that end a run, what a cut-off request leaves unknown, and a stored run under another sheet."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import pytest

from aurea_engine import (
    Constant,
    ConstantRate,
    CostModel,
    Fifo,
    Finding,
    NeedsRecords,
    Objective,
    Observer,
    Outcome,
    PerJob,
    Progress,
    RunFile,
    RunResult,
    RunSpec,
    Sleep,
    SpecError,
    Usage,
    Workload,
    default_catalog,
    result_from_dict,
    result_to_dict,
    simulate,
)
from aurea_engine.codec.parsing import RESULT_DEPTH, parse_json
from aurea_engine.codec.results import encode_json
from aurea_engine.costs import RunInfo, Sheet, TokenClass, Tokens, measure, price, reprice
from tests.planned_chat import PlannedChat

F = Fraction
TOKENS = Tokens(
    classes=(
        TokenClass("input", "3", measure="input"),
        TokenClass("cached", "0.3", measure="cached"),
        TokenClass("output", "15", measure="output"),
    )
)
USAGES = ((1000, 400, 20), (700, 0, 100), (50, 50, 1), (2000, 0, 77))
"""Input, cached and output tokens, in turn."""


def bill_of(usages: Any) -> Fraction:
    """Python's own fractions are the oracle."""
    return sum(
        (F(3 * (asked - cached) + 15 * spent, 10**6) + F(3, 10**7) * cached for asked, cached, spent in usages), F(0)
    )


def run(
    jobs: int = 200,
    *,
    usage: Any = USAGES,
    cost: CostModel = TOKENS,
    watch: Observer | None = None,
    **members: Any,
) -> RunResult:
    stop_at = members.pop("stop_at", None)
    chat = PlannedChat(Constant(1), usage, members.pop("max_tokens", 128))
    workload = Workload(chat, ConstantRate(20), jobs=jobs, stop_at=stop_at)
    spec = RunSpec(workload, cost=cost, clock="virtual", seed=1, **members)
    return simulate(spec, [] if watch is None else [watch])


def find(result: RunResult, code: str) -> Finding | None:
    return next((each for each in result.findings if each.code == code), None)


def test_reported_tokens_are_billed_by_class() -> None:
    result = run()
    assert result.cost.total == 50 * bill_of(USAGES)
    assert [line.name for line in result.cost.lines] == ["input", "cached", "output"]
    assert find(result, "spend_unknown") is None


class Watch(Observer):
    def __init__(self) -> None:
        self.seen: list[Progress] = []

    def on_progress(self, progress: Progress) -> None:
        self.seen.append(progress)


def test_the_bill_is_exact_while_the_run_is_on() -> None:
    """Each report's amount is that of as many requests as had ended, to the last digit."""
    watch = Watch()
    result = run(20_000, watch=watch)
    assert watch.seen
    for progress in watch.seen:
        ended = progress.counts.get(Outcome.COMPLETED, 0)
        whole, rest = divmod(ended, 4)
        assert progress.cost == whole * bill_of(USAGES) + bill_of(USAGES[:rest])
    assert watch.seen[-1].cost == result.cost.total


def test_a_budget_ends_the_run() -> None:
    """Spent is the least that is above the budget, and what was in service has been cut off: 19 requests."""
    budget = Objective("cost", at_most=0.1, abort=True)
    result = run(10_000, objectives=(budget,))
    assert result.status == "aborted"
    assert result.objectives[0].outcome == "missed"
    total = result.cost.total
    assert total is not None
    ended = result.counts.completed
    whole, rest = divmod(ended, 4)
    assert total == whole * bill_of(USAGES) + bill_of(USAGES[:rest])
    assert total > F("0.1") >= total - bill_of([USAGES[(ended - 1) % 4]])
    assert result.counts.cancelled == 19
    found = find(result, "spend_unknown")
    assert found is not None
    # Nineteen prompts of the longest reported length, none of them cached, and 128 tokens each.
    most = 19 * (F(3 * 2000, 10**6) + F(15 * 128, 10**6))
    assert f"19 of {ended + 19:,} requests ended without a report of their tokens (19 cancelled)" in found.detail
    assert f"at most {float(most):g}" in found.detail
    assert "128 output tokens each and prompts of at most 2,000 tokens" in found.detail


def test_without_a_limit_of_tokens_there_is_no_bound() -> None:
    found = find(run(stop_at=5.01, max_tokens=None), "spend_unknown")
    assert found is not None
    assert "without a max_tokens, or a greatest length of answers, there is no limit to that" in found.detail


def test_answers_without_usage_are_unknown_too() -> None:
    """The bill has the others; what is missing is said, and priced at most."""
    result = run(usage=((100, 0, 10), None))
    found = find(result, "spend_unknown")
    assert result.cost.total == 100 * bill_of([(100, 0, 10)])
    assert found is not None
    assert "100 of 200 requests ended without a report of their tokens (100 completed)" in found.detail
    assert f"at most {float(100 * bill_of([(100, 0, 128)])):g}" in found.detail


def test_a_bill_that_reads_no_tokens_misses_none() -> None:
    assert find(run(cost=PerJob("0.01"), stop_at=5.01), "spend_unknown") is None


def test_without_records_the_count_is_a_bound_too() -> None:
    result = run(stop_at=5.01, keep_jobs=False)
    found = find(result, "spend_unknown")
    assert found is not None
    assert found.detail.startswith("up to 20 of 101 requests ended without")


def test_waiting_requests_used_nothing() -> None:
    """What never started was never sent: only two slots are in service at the end."""
    found = find(run(stop_at=5.01, scheduler=Fifo(slots=2)), "spend_unknown")
    assert found is not None
    assert found.detail.startswith("2 of ")


def test_good_answers_have_a_price() -> None:
    """Two of four answers have a gap within the bound; the one-token answer has none and is not good."""
    gap = Objective("token_gap", at_most=0.0105, quantile=0.5)
    result = run(objectives=(gap,))
    assert result.good == 50
    assert result.cost.per_good == bill_of(USAGES)
    assert result.cost.to_dict()["per_good"] == str(float(bill_of(USAGES)))


@pytest.mark.parametrize("keep_jobs", [True, False])
def test_a_stored_run_is_priced_by_another_sheet(keep_jobs: bool) -> None:
    """A run that was billed by the request keeps its tokens, so that a price list of tokens can price it without records."""
    result = run(cost=PerJob("0.01"), keep_jobs=keep_jobs)
    usage = Usage.from_dict(result.usage.to_dict())
    expected = 50 * sum(F(a - c, 2 * 10**6) + F(c, 20 * 10**6) + F(3 * o, 2 * 10**6) for a, c, o in USAGES)
    assert reprice(usage, Sheet(name="example-model")).total == expected
    assert reprice(usage, TOKENS).total == 50 * bill_of(USAGES)


def test_other_meters_need_the_records() -> None:
    long = Tokens(classes=(TokenClass("input", "1", True, "2", "input_tokens"),), long_over=1000)
    result = run(keep_jobs=False)
    with pytest.raises(NeedsRecords):
        reprice(result.usage, long)
    whole = run()
    assert whole.jobs is not None
    assert reprice(whole.usage, long, whole.jobs).total == 50 * F(1000 + 700 + 50 + 2 * 2000, 10**6)


def test_a_whole_run_is_stored_and_priced_again() -> None:
    catalog = default_catalog().add("jobs", "planned_chat", PlannedChat)
    result = run()
    stored = RunFile.from_bytes(RunFile.of(result, catalog).to_bytes()).to_result(catalog)
    assert stored.cost == result.cost
    assert reprice(stored.usage, Sheet(name="example-model")) == reprice(result.usage, Sheet(name="example-model"))


@pytest.mark.parametrize("cost", [
    {"kind": "tokens", "classes": [{"name": "in", "price": "3", "measure": "input"}]},
    {"kind": "composite", "of": [{"kind": "free", "currency": "USD"}, {"kind": "tokens", "classes": [
        {"name": name, "price": "3", "measure": name} for name in ("input_tokens", "cached")]}]},
])  # fmt: skip
def test_a_bill_that_would_be_refused_by_now_stands(cost: dict[str, Any]) -> None:
    """A stored run whose prices left cached tokens out, or billed them twice: it is read, written again, and repriced."""
    catalog = default_catalog().add("jobs", "planned_chat", PlannedChat)
    document = result_to_dict(run(), catalog)
    document["spec"]["cost"] = cost
    bill = {"name": "tokens", "quantity": "0.0575", "unit": "1M Tokens", "unit_price": "3", "amount": "0.1725"}
    document["cost"] = {**document["cost"], "total": "0.1725", "exact": "69/400", "lines": [bill]}
    document = parse_json(encode_json(document), max_depth=RESULT_DEPTH)
    with pytest.raises(SpecError, match=r"spec\.cost"):
        result_from_dict(document, catalog)
    again = result_from_dict(document, catalog, keep_unknown=True)
    written = parse_json(encode_json(result_to_dict(again, catalog)), max_depth=RESULT_DEPTH)
    assert written["spec"]["cost"] == document["spec"]["cost"]
    assert written["cost"]["total"] == "0.1725"
    assert again.counts.completed == 200
    assert reprice(again.usage, TOKENS).total == 50 * bill_of(USAGES)
    assert again.cost.problem is None


def test_prices_of_a_sheet_are_per_million() -> None:
    """A sheet of a public model: the day of the run selects its prices."""
    model = Sheet(name="openai-gpt-4o-mini")
    jobs = run(4).jobs
    assert jobs is not None
    started = RunInfo(10**9, started_at=datetime(2026, 12, 1, tzinfo=UTC))
    bill = price(measure(jobs, started, model), model)
    expected = [F(15, 100) * (600 + 700 + 0 + 2000), F(75, 1000) * 450, F(6, 10) * 198]
    assert [line.amount for line in bill.lines] == [amount / 10**6 for amount in expected]
    assert bill.lines[0].source == "openai-gpt-4o-mini@2026.12.0#input"
    early = RunInfo(10**9, started_at=datetime(2026, 8, 1, tzinfo=UTC))
    assert price(measure(jobs, early, model), model).total is None  # nobody knows what held then


def test_a_sheet_of_tokens_needs_jobs_that_report_them() -> None:
    with pytest.raises(ValueError, match="cost: no job of the run reports the measure 'input_tokens'"):
        RunSpec(Workload(Sleep(Constant(1)), jobs=1), cost=Sheet(name="example-model"))
