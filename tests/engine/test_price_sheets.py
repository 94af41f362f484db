"""Price sheets: dated data whose every mistake is found before it becomes a bill."""

from __future__ import annotations

from datetime import UTC, date, datetime
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from aurea_engine import (
    Constant,
    ConstantRate,
    Cost,
    Observer,
    Progress,
    RunSpec,
    Sleep,
    Workload,
    run_sync,
)
from aurea_engine.costs import (
    Override,
    RunInfo,
    Sheet,
    SheetPrices,
    check_sheet,
    load_sheet,
    measure,
    one_job,
    parse_sheet,
    price,
    project,
    shipped_sheet,
    shipped_sheets,
)  # fmt: skip
from aurea_engine.errors import SpecError
from aurea_engine.records.batch import NS, JobBatch

F = Fraction

SHEET = """\
[sheet]
schema = 1
id = "own"
version = "3"
title = "Own"
currency = "USD"
checked = 2026-11-22
source = "a contract"
notice = "ours"

[[price]]
sku = "time"
unit = "Hours"
meter = { kind = "time", step = 1 }
price = 3.6
effective_from = 2025-01-01
effective_to = 2026-01-01

[[price]]
sku = "time"
unit = "Hours"
meter = { kind = "time", step = 1 }
price = 7.2
effective_from = 2026-01-01
"""


def one_second() -> JobBatch:
    zero = np.zeros(1, np.int64)
    return JobBatch(zero, zero, zero, zero + NS, np.ones(1, np.uint8))


@pytest.mark.parametrize("name", shipped_sheets())
def test_shipped_sheets_are_valid_and_named(name: str) -> None:
    """Shipped sheets are right dated and named after themselves."""
    sheet = shipped_sheet(name)
    assert name == f"{sheet.id}@{sheet.version}"
    assert shipped_sheet(sheet.id) == sheet
    assert len(sheet.sha256) == 64
    assert ("check the vendor" in sheet.notice and sheet.evidence) or "Fictional" in sheet.notice
    assert "token" not in sheet.title.lower()


def test_a_released_sheet_does_not_change() -> None:
    """The fictional sheets price examples in the documentation: a new price is a new version."""
    assert shipped_sheet("example-functions@1").sha256[:16] == "1fe021634505ecc3"
    assert shipped_sheet("example-machines@1").sha256[:16] == "13fdb26aec896dff"


@pytest.mark.parametrize(("year", "total"), [(2025, F("0.001")), (2026, F("0.002")), (2027, F("0.002"))])
def test_prices_are_those_of_the_start(year: int, total: Fraction) -> None:
    """The prices are those that held when the run started."""
    model = SheetPrices(of=parse_sheet(SHEET))
    run = RunInfo(NS, started_at=datetime(year, 6, 1, tzinfo=UTC))
    assert price(measure(one_second(), run), model).total == total


class Watch(Observer):
    """Keeps what it is told of the cost."""

    def __init__(self) -> None:
        self.bills: list[Cost] = []

    def on_progress(self, progress: Progress) -> None:
        if progress.bill is not None:
            self.bills.append(progress.bill)


def test_live_price_is_that_of_its_day() -> None:
    """What is told meanwhile is no estimate: a price of another day is not looked at."""
    later = SHEET.replace("2026-01-01", "2090-01-01")
    spec = RunSpec(
        Workload(Sleep(Constant(0.2)), ConstantRate(50), jobs=50), seed=1, cost=SheetPrices(of=parse_sheet(later))
    )
    watch = Watch()
    result = run_sync(spec, [watch])
    assert len(watch.bills) > 2
    assert {line.unit_price for bill in watch.bills for line in bill.lines} == {result.cost.lines[0].unit_price}


def test_day_without_price_is_unpriced() -> None:
    """A day without a price is unpriced and not free."""
    model = SheetPrices(of=parse_sheet(SHEET), as_of="2024-12-31")
    bill = price(one_job(1), model)
    assert bill.total is None
    assert "unpriced" in (bill.problem or "")
    assert bill.lines[0].amount is None


def test_the_day_may_be_asked_for() -> None:
    assert price(one_job(1), SheetPrices(of=parse_sheet(SHEET), as_of="2025-12-31")).total == F("0.001")
    assert Sheet(name="example-functions", memory_mb=1, as_of=date(2025, 1, 1)).as_of == "2025-01-01"  # type: ignore[arg-type]
    with pytest.raises(SpecError, match="must be a date"):
        Sheet(name="example-functions", memory_mb=1, as_of="yesterday")


def test_every_bill_names_its_sheet() -> None:
    sheet = parse_sheet(SHEET)
    bill = price(one_job(1), SheetPrices(of=sheet))
    assert bill.sheets == (sheet.ref,)
    assert bill.lines[0].source == "own@3#time"
    assert bill.to_dict()["sheets"][0]["sha256"] == sheet.sha256


def test_own_prices_replace_the_sheets() -> None:
    """Own prices take the place of the sheets and say so."""
    bill = price(one_job(1), SheetPrices(of=parse_sheet(SHEET), prices=(Override("time", 36),)))
    assert (bill.total, bill.lines[0].source) == (F("0.01"), "own@3#time (own price)")
    with pytest.raises(SpecError, match=r"prices\[0\].sku: must be one of time"):
        SheetPrices(of=parse_sheet(SHEET), prices=(Override("hour", 36),))


def test_example_functions_bill() -> None:
    """A fictional cloud bills by gigabyte second and request."""
    model = Sheet(name="example-functions", memory_mb=512)
    assert price(one_job("0.1"), model).total == F("0.00001") * F("0.05") + F("0.0000005")
    old = Sheet(name="example-functions@1", memory_mb=512, as_of="2024-01-01")
    assert price(one_job("0.1"), old).total == F("0.00002") * F("0.05") + F("0.0000005")


def test_sheet_allowances_apply_to_months() -> None:
    """2,100,000 GB-seconds a month: 100,000 free, a million in the first tier, a million in the second."""
    model = Sheet(name="example-functions", memory_mb=1024)
    bill = project(one_job(1), model, rate=F(2_100_000, 730 * 3600)).cost
    assert bill.total == 10 + 5 + F("1.05")


def test_example_machines_bill() -> None:
    """A fictional machine park bills machines a fee and traffic."""
    model = Sheet(name="example-machines", concurrency=4, instances=2, bytes_per_job=10**9)
    bill = project(one_job(1), model, rate=F(10, 3600), hours=1).cost
    assert (bill.currency, bill.total) == ("EUR", 2 * F("0.10") + F("0.05") + 10 * F("0.08"))
    assert bill.utilization is not None
    assert bill.utilization < 1


def test_a_sheet_says_which_sizes_it_needs() -> None:
    with pytest.raises(SpecError) as refused:
        Sheet(name="google-cloud-run-request-tier1")
    assert [problem.path for problem in refused.value.problems] == ["vcpu", "concurrency", "memory_mb"]
    with pytest.raises(SpecError, match="name: must be one of aws"):
        Sheet(name="nobody")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('unit = "Hours"', 'unit = "Houses"', "line 13, price[0].unit: must be one of Seconds, Hours for time"),
        ('unit = "Hours"', 'unit = "GB-Hours"', "line 13, price[0].unit: must be one of Seconds, Hours for time"),
        ("price = 3.6", "price = -3.6", "line 15, price[0].price: must be a price >= 0"),
        ("price = 3.6", "price = nan", "line 15, price[0].price: must be a price"),
        ("price = 3.6", "price = 1e999999999", "line 15, price[0].price: must be a price"),
        ("price = 3.6", "price = 1e99999999999999999999", "line 15, price[0].price: must be a price"),
        ("price = 3.6", "price = -1e99999999999999999999", "got -1e99999999999999999999"),
        (
            '"own"',
            "1e99999999999999999999",
            "sheet.id: must be a text of at most 256 characters, got 1e99999999999999999999",
        ),
        (
            'kind = "time"',
            'kind = "time", minimum = 1e99999999999999999999',
            "line 14, price[0].meter.minimum: must be a number",
        ),
        ("checked = 2026-11-22", "checked = 1e99999999999999999999", "line 7, sheet.checked: must be a date"),
        ("price = 3.6", "prize = 3.6", "line 15, price[0].prize: is not known"),
        ("price = 3.6", "", "line 11, price[0].price: must be given"),
        ("price = 3.6", 'price = 3.6\ncurrency = "EUR"', "line 16, price[0].currency: must be USD"),
        ("price = 3.6", "steps = [{price = 1}]", "line 11, price[0].mode: must be graduated or cliff"),
        ("price = 3.6", 'mode = "cliff"\nsteps = [{price = 1}, {price = 2}]', "price[0].steps[0].up_to: must be given"),
        ("price = 3.6", 'mode = "cliff"\nprice = 3.6', "line 15, price[0].mode: must be flat"),
        ('kind = "time"', 'kind = "hour"', "line 14, price[0].meter.kind: must be one of"),
        ('kind = "time"', 'kind = "time", size = "bytes"', "price[0].meter.size: must be memory or vcpu"),
        (
            'kind = "time", step = 1',
            'kind = "tokens"',
            "price[0].meter.measure: must be input, cached, output or a measure",
        ),
        ('kind = "time"', 'kind = "time", measure = "input"', "price[0].meter.measure: goes with the kind tokens"),
        (
            'kind = "time", step = 1',
            'kind = "tokens", measure = "input"',
            "price[0].unit: must be one of 1M Tokens",
        ),
        ('kind = "time"', 'kind = "tokens", measure = "input", size = "vcpu"', "price[0].meter.size: must be left out"),
        ("effective_to = 2026-01-01", "", "two prices of 'time' hold on the same day"),
        ("effective_to = 2026-01-01", "effective_to = 2024-01-01", "must be after effective_from"),
        ("effective_from = 2025-01-01", "", "line 11, price[0].effective_from: is missing"),
        ("checked = 2026-11-22", 'checked = "soon"', "line 7, sheet.checked: must be a date"),
        ('currency = "USD"', 'currency = "$"', "line 6, sheet.currency: must be a currency's three capital letters"),
        ("schema = 1", "schema = 2", "line 2, sheet.schema: must be 1"),
        ('id = "own"', "", "line 1, sheet.id: is missing"),
        ("[sheet]", "[table]", "sheet: must be a table"),
        ("[sheet]", "[sheet", "is not TOML"),
    ],
)
def test_every_mistake_is_listed_with_its_line(old: str, new: str, said: str) -> None:
    text = SHEET.replace(old, new, 1)
    assert said in "\n".join(str(problem) for problem in check_sheet(text))


TOKEN_PRICE = """
[[price]]
sku = "{0}"
unit = "1M Tokens"
meter = {{ kind = "tokens", measure = "{0}" }}
price = 1
effective_from = {1}
"""


@pytest.mark.parametrize(
    ("measures", "said"),
    [
        ("input output", "price[2].meter.measure: must price cached tokens too, since input leaves them out"),
        ("output input", "price[3].meter.measure: must price cached tokens too, since input leaves them out"),
        (
            "input_tokens cached",
            "price[3].meter.measure: must not count tokens that the price of 'input_tokens' counts too",
        ),
        (
            "output reasoning_tokens",
            "price[3].meter.measure: must not count tokens that the price of 'output' counts too",
        ),
        ("input cached output", ""),
        ("input_tokens output", ""),
    ],
)
def test_a_sheet_prices_each_token_once(measures: str, said: str) -> None:
    text = SHEET + "".join(TOKEN_PRICE.format(name, "2026-01-01") for name in measures.split())
    problems = "\n".join(str(problem) for problem in check_sheet(text))
    assert said in problems
    assert bool(said) == bool(problems)


def test_a_sheet_may_change_what_it_counts() -> None:
    """Whole prompts until the cache had a price of its own."""
    older = TOKEN_PRICE.format("input_tokens", "2025-01-01") + "effective_to = 2026-01-01\n"
    text = SHEET + older + "".join(TOKEN_PRICE.format(name, "2026-01-01") for name in ("input", "cached"))
    assert not check_sheet(text)


def test_mistakes_are_listed_by_line() -> None:
    """All mistakes are listed at once in the order of their lines."""
    text = SHEET.replace('"Hours"', '"Houses"').replace("price = 3.6", "price = -1").replace('"USD"', '"usd"')
    problems = check_sheet(text)
    assert [problem.path.split(", ")[1] for problem in problems] == [
        "sheet.currency", "price[0].unit", "price[0].price", "price[1].unit",
    ]  # fmt: skip


def test_a_sheet_without_prices_is_no_sheet() -> None:
    assert "at least one [[price]]" in str(check_sheet(SHEET.partition("[[price]]")[0])[0])
    assert "two brackets" in str(check_sheet(SHEET.partition("[[price]]")[0] + "\n[price]\nsku = 1\n"))


def test_a_sheet_of_ones_own_is_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "own@3.toml").write_text(SHEET, encoding="utf-8")
    sheet = load_sheet(tmp_path / "own@3.toml")
    assert sheet == parse_sheet(SHEET)
    assert check_sheet(SHEET) == ()
    assert not sheet.is_stale(date(2026, 12, 1))
    assert sheet.is_stale(date(2027, 12, 1))


def test_a_file_that_holds_no_sheet_is_named(tmp_path: Path) -> None:
    """With the member where there is one, in one line."""
    own = tmp_path / "own.toml"
    own.write_text(SHEET.replace("price = 3.6", "price = 1e99999999999999999999"), encoding="utf-8")
    with pytest.raises(SpecError) as refused:
        load_sheet(own)
    assert str(refused.value).startswith(f"{own}, line 15, price[0].price: must be a price")
    own.write_text("[sheet", encoding="utf-8")
    with pytest.raises(SpecError, match=r"own\.toml: is not TOML"):
        load_sheet(own)
    own.write_bytes(b"\xff")
    with pytest.raises(SpecError, match=r"own\.toml: must be UTF-8"):
        load_sheet(own)
    with pytest.raises(SpecError, match=r"nofile\.toml: No such file"):
        load_sheet(tmp_path / "nofile.toml")


def test_hash_is_of_content_not_spelling() -> None:
    """The hash is of the content and not of the spelling."""
    assert parse_sheet("# a comment\n" + SHEET).sha256 == parse_sheet(SHEET).sha256
    assert parse_sheet(SHEET.replace("7.2", "7.3")).sha256 != parse_sheet(SHEET).sha256
