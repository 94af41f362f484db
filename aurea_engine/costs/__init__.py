"""What a run costs: meters, rates, price sheets and projections. Money is exact throughout."""

from __future__ import annotations

from aurea_engine.costs.bill_lines import Line, SheetRef
from aurea_engine.costs.cloud_models import ContainerTask, Fleet, InstanceBusy, Packed, PackedTime, Serverless
from aurea_engine.costs.conformance import check_cost_model, check_interval_chain
from aurea_engine.costs.cost_model import Component, Composite, CostModel, Free, PerJob, PerSecond
from aurea_engine.costs.curve_chart import curve_svg
from aurea_engine.costs.decimals import (
    Amount,
    Price,
    Share,
    Size,
    decimal_text,
    exact_text,
    largest_remainder,
    money_text,
)
from aurea_engine.costs.discounts import Allowance, Commitment, Conversion, Discount, Discounts
from aurea_engine.costs.fees_and_tiers import FlatPeriod, Tiered
from aurea_engine.costs.formula import Formula
from aurea_engine.costs.metering import Metering
from aurea_engine.costs.meters import JobMeter, Meter
from aurea_engine.costs.model_kinds import KINDS
from aurea_engine.costs.price_sheets import PriceSheet
from aurea_engine.costs.pricing import Cost, job_costs, price
from aurea_engine.costs.projection import (
    BreakEven,
    CurvePoint,
    Projection,
    break_even,
    cost_curve,
    one_job,
    project,
    rates_between,
)  # fmt: skip
from aurea_engine.costs.quantities import BilledTime, Jobs, MeterTotal, Quantity, Reported, Window
from aurea_engine.costs.rates import Flat, Rate, Tier, Tiers, Unpriced
from aurea_engine.costs.repricing import compare, complete, measure, reprice
from aurea_engine.costs.sheet_files import check_sheet, load_sheet, parse_sheet, shipped_sheet, shipped_sheets
from aurea_engine.costs.sheet_models import Override, Sheet, SheetPrices
from aurea_engine.costs.tokens_and_egress import Egress, TokenClass, TokenRequest, Tokens
from aurea_engine.costs.usage import RunInfo, Usage

__all__ = [
    "Allowance",
    "Amount",
    "BilledTime",
    "BreakEven",
    "Commitment",
    "Component",
    "Composite",
    "ContainerTask",
    "Conversion",
    "Cost",
    "CostModel",
    "CurvePoint",
    "Discount",
    "Discounts",
    "Egress",
    "Flat",
    "FlatPeriod",
    "Fleet",
    "Formula",
    "Free",
    "InstanceBusy",
    "JobMeter",
    "Jobs",
    "KINDS",
    "Line",
    "Meter",
    "MeterTotal",
    "Metering",
    "Override",
    "Packed",
    "PackedTime",
    "PerJob",
    "PerSecond",
    "Price",
    "PriceSheet",
    "Projection",
    "Quantity",
    "Rate",
    "Reported",
    "RunInfo",
    "Serverless",
    "Share",
    "Sheet",
    "SheetPrices",
    "SheetRef",
    "Size",
    "Tier",
    "Tiered",
    "Tiers",
    "TokenClass",
    "TokenRequest",
    "Tokens",
    "Unpriced",
    "Usage",
    "Window",
    "break_even",
    "check_cost_model",
    "check_interval_chain",
    "check_sheet",
    "compare",
    "complete",
    "cost_curve",
    "curve_svg",
    "decimal_text",
    "exact_text",
    "job_costs",
    "largest_remainder",
    "load_sheet",
    "measure",
    "money_text",
    "one_job",
    "parse_sheet",
    "price",
    "project",
    "rates_between",
    "reprice",
    "shipped_sheet",
    "shipped_sheets",
]
