"""The report of a capacity search: the answer, the trials that led to it, whether it was verified, and what it costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction

from aurea_engine.closed_sets import CAPACITY_STATUSES, CapacityStatus
from aurea_engine.costs.decimals import decimal_text
from aurea_engine.report.bill import write_money
from aurea_engine.report.capacity_charts import draw_curves, draw_trials
from aurea_engine.report.document import write_document, write_section
from aurea_engine.report.judgement import badge
from aurea_engine.report.markup import Markup, datum, element, foreign, join
from aurea_engine.report.number_format import format_number, format_percent, format_seconds
from aurea_engine.report.tables import Limits, Row, cut_rows, write_table
from aurea_engine.results.capacity import CapacityAnswer, CapacityCost, Trial, Verification

BADGES: Mapping[CapacityStatus, str] = {
    "found": "met",
    "at_least": "met",
    "at_most": "met",
    "infeasible": "missed",
    "generator_limited": "inconclusive",
    "undecided": "inconclusive",
}


def render_capacity(answer: CapacityAnswer) -> str:
    """The report of ``answer`` as one HTML document, as `render_html` makes of a run."""
    status = badge(BADGES[answer.status], answer.status.replace("_", " "))
    header = [
        element("p", "Aurea capacity search", class_="eyebrow"),
        element("h1", describe_answer(answer)),
        element("p", "Objectives: ", foreign("; ".join(answer.objectives)), ".", class_="quiet"),
        element("p", status, f" {_capitalize(CAPACITY_STATUSES[answer.status])}.", class_="verdict"),
        element("p", foreign(_capitalize(answer.reason)), ".", class_="verdict"),
        _list_key_figures(answer),
    ]  # fmt: skip
    return write_document(
        f"Aurea capacity search: {answer.status.replace('_', ' ')}",
        header,
        lambda limits: _write_sections(answer, limits),
        f"from a search of {len(answer.trials):,} trials",
    )


def describe_answer(answer: CapacityAnswer) -> str:
    """The answer in a few words."""
    if answer.value is None:
        return f"No {'rate' if answer.variable == 'rate' else 'number of slots'} was found"
    word = {"at_least": "At least ", "at_most": "At most "}.get(answer.status, "")
    return f"{word}{write_value(answer, answer.value)}"


def _capitalize(text: str) -> str:
    return text[:1].upper() + text[1:].removesuffix(".")


def write_value(answer: CapacityAnswer, value: float | None) -> str:
    """A value of what was varied."""
    if value is None:
        return "–"
    if answer.variable == "rate":
        return f"{value:,.5g} jobs/s"
    return f"{value:,.0f} slot{'' if value == 1 else 's'}"


def _list_key_figures(answer: CapacityAnswer) -> Markup:
    tiles = [
        element("div", element("dt", what), element("dd", figure, class_="large"), element("dd", more, class_="more"))
        for what, figure, more in _list_tiles(answer)
    ]
    return element("dl", *tiles, class_="key-figures")


def _list_tiles(answer: CapacityAnswer) -> Iterator[tuple[str, Markup | str, Markup | str]]:
    # The last bracket: what held, and what failed next to it. It is no confidence interval.
    low, high = answer.interval.low, answer.interval.high
    ends = join((
        "between ", datum(write_value(answer, low), low, "/interval/low"), " and ",
        datum(write_value(answer, high), high, "/interval/high"),
    ))  # fmt: skip
    yield "Capacity", datum(write_value(answer, answer.value), answer.value, "/value"), ends
    if answer.utilization is not None:
        yield (
            "Utilization",
            datum(format_percent(answer.utilization), answer.utilization, "/utilization"),
            "of the slots",
        )
    verification = answer.verification
    if verification is not None:
        yield "Verified", "yes" if verification.passed else "no", f"by {len(verification.seeds)} runs with fresh seeds"
    for at, cost in enumerate(answer.costs):
        if cost.cheapest:
            more = join(("per million good jobs, ", foreign(cost.model, 60)))
            yield "Cheapest", _write_cost(cost.per_million_good, cost.currency, f"/costs/{at}/per_million_good"), more
    jobs = sum(trial.jobs for trial in answer.trials)
    yield "Trials", f"{len(answer.trials):,}", f"{jobs:,} jobs, {answer.clock} time"


def _write_cost(amount: Fraction | None, currency: str, place: str) -> Markup:
    # Where there is no price the row says why; what has none by its nature, such as an hour of a price per job, has a dash.
    return (
        datum("–", None, place) if amount is None else datum(write_money(amount, currency), decimal_text(amount), place)
    )


def _write_sections(answer: CapacityAnswer, limits: Limits) -> Iterator[Markup]:
    charts = [chart.draw() for chart in (draw_trials(answer), draw_curves(answer)) if chart is not None]
    if charts:
        yield write_section("pictures", "Search and price", element("div", *charts, class_="charts"))
    # In virtual time first, then for real: the second stands only where it was asked for.
    for name, title, found in (
        ("verification", "Verification", answer.verification),
        ("confirmation", "Confirmation", answer.confirmation),
    ):
        if found is not None:
            yield write_section(name, title, _describe(found, answer), _tabulate_verification(found, name, limits))
    if answer.costs:
        yield write_section("costs", "Costs", _tabulate_costs(answer, limits))
    yield write_section("trials", "Trials", _tabulate_trials(answer, limits))


def _describe(found: Verification, answer: CapacityAnswer) -> Markup:
    word = badge("met" if found.passed else "missed", "passed" if found.passed else "failed")
    text = f" {len(found.seeds)} replications at {write_value(answer, found.value)}, {found.clock} time."
    return element("p", word, text)


def _tabulate_verification(found: Verification, name: str, limits: Limits) -> Markup:
    rows: list[Row] = [
        [
            foreign(each.objective),
            badge("met" if each.met else "missed"),
            datum(_write_plain(each.median), each.median, f"/{name}/objectives/{at}/median"),
            datum(_write_plain(each.bound), each.bound, f"/{name}/objectives/{at}/bound"),
        ]
        for at, each in enumerate(found.objectives)
    ]
    heads = ["objective", "outcome", "median", "95 % bound"]
    return write_table(f"{name.capitalize()} by objective", heads, cut_rows(rows, len(rows), limits), texts=2)


def _write_plain(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def _tabulate_costs(answer: CapacityAnswer, limits: Limits) -> Markup:
    rows = (_write_model(cost, f"/costs/{at}") for at, cost in enumerate(answer.costs))
    heads = ["model", "basis", "per million good jobs", "95 % interval", "an hour", "instances", "idle"]
    return write_table("Costs", heads, cut_rows(rows, len(answer.costs), limits), texts=2)


def _write_model(cost: CapacityCost, place: str) -> Row:
    low, high = cost.interval
    ends = join((
        _write_cost(low, cost.currency, f"{place}/interval/low"), " – ",
        _write_cost(high, cost.currency, f"{place}/interval/high"),
    ))  # fmt: skip
    idle = "–" if cost.idle_share is None else format_percent(cost.idle_share)
    return [
        join((foreign(cost.model), element("small", foreign(cost.problem)) if cost.problem else "")),
        join((cost.basis, element("small", "cheapest") if cost.cheapest else "")),
        _write_cost(cost.per_million_good, cost.currency, f"{place}/per_million_good"),
        "–" if low is None and high is None else ends,
        _write_cost(cost.per_hour, cost.currency, f"{place}/per_hour"),
        datum(format_number(cost.instances), cost.instances, f"{place}/instances"),
        datum(idle, cost.idle_share, f"{place}/idle_share"),
    ]


def _tabulate_trials(answer: CapacityAnswer, limits: Limits) -> Markup:
    rows = (_write_trial(trial, answer, f"/trials/{at}", at + 1) for at, trial in enumerate(answer.trials))
    heads = ["trial", "outcome", "value", "jobs", "seed", "throughput", "p99", "utilization", "good jobs"]
    return write_table("Trials", heads, cut_rows(rows, len(answer.trials), limits), texts=2)


def _write_trial(trial: Trial, answer: CapacityAnswer, place: str, number: int) -> Row:
    users = "–" if trial.users is None else f"{trial.users:,} user{'' if trial.users == 1 else 's'}"
    # A trial that the generator limited says nothing of the system, and must not look like one that failed.
    word = {"passed": "met", "failed": "missed"}.get(trial.outcome, "inconclusive")
    what = join(
        (f"{number} {trial.phase.replace('_', ' ')}", element("small", foreign(trial.problem)) if trial.problem else "")
    )
    shares = (
        datum("–" if value is None else format_percent(value), value, f"{place}/{name}")
        for name, value in (("utilization", trial.utilization), ("good_share", trial.good_share))
    )
    return [
        what,
        badge(word, trial.outcome),
        users if trial.value is None else datum(write_value(answer, trial.value), trial.value, f"{place}/value"),
        datum(f"{trial.jobs:,}", trial.jobs, f"{place}/jobs"),
        datum(str(trial.seed), trial.seed, f"{place}/seed"),
        datum(format_number(trial.throughput, "/s"), trial.throughput, f"{place}/throughput"),
        datum(format_seconds(trial.p99), trial.p99, f"{place}/p99"),
        *shares,
    ]
