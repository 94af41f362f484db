"""The names that cost models have in JSON."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from aurea_engine.costs.adjustments import Discounts
from aurea_engine.costs.cloud import ContainerTask, Fleet, InstanceBusy, Packed, Serverless
from aurea_engine.costs.metered import Egress, FlatPeriod, Tiered, Tokens
from aurea_engine.costs.model import Composite, CostModel, Free, PerJob, PerSecond
from aurea_engine.costs.sheet_model import Sheet

KINDS: Mapping[str, type[CostModel]] = MappingProxyType(
    {
        "composite": Composite,
        "container_task": ContainerTask,
        "discounts": Discounts,
        "egress": Egress,
        "flat_period": FlatPeriod,
        "fleet": Fleet,
        "free": Free,
        "instance_busy": InstanceBusy,
        "packed": Packed,
        "per_job": PerJob,
        "per_second": PerSecond,
        "serverless": Serverless,
        "sheet": Sheet,
        "tiered": Tiered,
        "tokens": Tokens,
    }
)
"""JSON ``kind`` → cost model."""
